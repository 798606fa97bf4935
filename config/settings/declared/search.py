"""What makes vectors, and what orders the first hits of a search."""

from config.settings.declared.kinds import Setting, choice, http_url, path, text, whole

SEARCH: tuple[Setting, ...] = (
    Setting(
        "REMEMBRANCER_EMBEDDING_PROVIDER",
        choice("local", "openai", "none"),
        "local",
        "Makes vectors: `local` (MiniLM, no network), `openai` (compatible endpoint), `none`.",
    ),
    Setting(
        "REMEMBRANCER_EMBEDDING_MODEL",
        text,
        "",
        "Model name for the `openai` provider.",
        "none",
    ),
    Setting(
        "REMEMBRANCER_EMBEDDING_URL",
        http_url,
        "",
        "Base URL of the `openai` provider, such as http://localhost:11434/v1.",
        "none",
    ),
    Setting("REMEMBRANCER_EMBEDDING_API_KEY", text, "", "Key for the `openai` provider.", "none"),
    Setting(
        "REMEMBRANCER_EMBEDDING_DIMENSIONS",
        whole(1, 4000),
        384,
        "Length of the vectors; 384 for the local model.",
    ),
    Setting(
        "REMEMBRANCER_EMBEDDING_OTHER_MODEL",
        text,
        "",
        "A model at a second endpoint, while the index changes from one to the other "
        "(docs/embedding.md).",
        "none",
    ),
    Setting("REMEMBRANCER_EMBEDDING_OTHER_URL", http_url, "", "Base URL of that endpoint.", "none"),
    Setting("REMEMBRANCER_EMBEDDING_OTHER_API_KEY", text, "", "Key for that endpoint.", "none"),
    Setting(
        "REMEMBRANCER_RERANKER",
        choice("none", "local", "http"),
        "none",
        "Orders the first hits of a search: `local` (a cross-encoder in ONNX), `http` (endpoint), "
        "`none` (docs/search.md).",
    ),
    Setting(
        "REMEMBRANCER_RERANKER_PATH",
        path,
        None,
        "Folder of the `local` reranker: tokenizer.json and model.onnx or onnx/model.onnx.",
        "none",
    ),
    Setting(
        "REMEMBRANCER_RERANKER_URL",
        http_url,
        "",
        "Base URL of the `http` reranker, such as https://api.jina.ai/v1; `/rerank` is added.",
        "none",
    ),
    Setting(
        "REMEMBRANCER_RERANKER_MODEL",
        text,
        "",
        "Model name for the `http` reranker; a server of one model needs none.",
        "none",
    ),
    Setting("REMEMBRANCER_RERANKER_API_KEY", text, "", "Key for that endpoint.", "none"),
    Setting(
        "REMEMBRANCER_RERANKER_DEPTH",
        whole(2, 100),
        30,
        "How many hits are reranked; each costs time.",
    ),
)
