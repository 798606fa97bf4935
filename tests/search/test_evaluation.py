"""Figures of retrieval: computed right, on data sets read right, and nothing stays behind."""

import json
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection

from config.lib.scope import workspace_scope
from contacts.models import Workspace
from memory.evaluation import retrieval
from memory.evaluation.datasets import DatasetError, read_dataset
from memory.evaluation.metrics import mean, of_query
from memory.models import Passage
from memory.reranking import reset_reranker
from memory.search import rerank
from memory.search.ranking import PARTS, WEIGHTS
from sessions.models import Message

GENERAL = {
    "name": "tiny",
    "groups": [
        {
            "id": "g1",
            "documents": [
                {"id": "a", "thread": "t1", "role": "user", "time": "2026-03-01T10:00:00Z",
                 "text": "The ferns need rain water."},
                {"id": "b", "thread": "t2", "speaker": "Mara", "text": "The orchids are pale."},
                {"id": "c", "thread": "t1", "role": "odd", "text": "And the moss wants shade."},
            ],
            "queries": [
                {"q": "ferns water", "gold": ["a"], "category": "fact"},
                {"q": "orchids and moss", "gold": ["b", "c"], "category": "multi"},
                {"q": "nothing", "gold": []},
            ],
        }
    ],
}  # fmt: skip
LOCOMO = [
    {
        "sample_id": "conv-1",
        "conversation": {
            "speaker_a": "Ann", "speaker_b": "Bob",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Ann", "dia_id": "D1:1", "text": "Look!", "blip_caption": "a cat"},
                {"speaker": "Bob", "dia_id": "D1:2", "text": "Nice."},
            ],
        },
        "qa": [
            {"question": "What did Ann show?", "evidence": ["D1:1; D1:2"], "category": 4},
            {"question": "Who?", "evidence": ["D9:9"], "category": 5},
        ],
    }
]  # fmt: skip


def test_the_figures_of_a_query():
    found = of_query(["x", "a", "y", "z", "w", "b", *"cdefg"], frozenset({"a", "b", "q"}))
    assert found["frac@5"] == pytest.approx(1 / 3)
    assert found["frac@10"] == pytest.approx(2 / 3)
    assert (found["any@5"], found["all@10"], found["mrr"]) == (1.0, 0.0, 0.5)
    # Gains at ranks 2 and 6 against three at the top.
    gain = 1 / 1.584962500721156 + 1 / 2.807354922057604
    assert found["ndcg@10"] == pytest.approx(gain / (1 + 1 / 1.584962500721156 + 0.5))
    assert mean([found, of_query(["n"], frozenset("a"))])["frac@10"] == pytest.approx(
        1 / 3, abs=1e-3
    )
    assert mean([])["mrr"] == 0.0


def write(path, content):
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def test_the_general_form_is_read(tmp_path):
    (group,) = read_dataset(write(tmp_path / "x.json", GENERAL)).groups
    assert [(d.id, d.thread, d.role) for d in group.documents] == [
        ("a", "t1", "user"), ("b", "t2", "user"), ("c", "t1", "user"),
    ]  # fmt: skip
    assert group.documents[1].text == "Mara: The orchids are pale."
    assert group.documents[2].time == group.documents[0].time
    assert [(q.category, set(q.gold)) for q in group.queries] == [
        ("fact", {"a"}), ("multi", {"b", "c"}),
    ]  # fmt: skip


def test_locomo_is_read_as_it_is_published(tmp_path):
    dataset = read_dataset(write(tmp_path / "x.json", LOCOMO))
    (group,) = dataset.groups
    assert (dataset.name, group.id) == ("locomo", "conv-1")
    assert [d.text for d in group.documents] == ["Ann: Look! a cat", "Bob: Nice."]
    assert f"{group.documents[0].time:%Y-%m-%d %H:%M}" == "2023-05-08 13:56"
    assert [(q.q, set(q.gold)) for q in group.queries] == [("What did Ann show?", {"D1:1", "D1:2"})]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("{", "is not JSON"),
        ({"groups": []}, "form of any data set"),
        ({"name": "x", "groups": [{"id": 1}]}, "documents"),
        ([{"sample_id": 1}], "conversation"),
        ({"name": "x", "groups": [{"id": 1, "documents": [{"id": 1, "text": "", "time": "soon"}],
                                   "queries": []}]}, "'soon' is not a time"),
        ({"name": "x", "groups": [{"id": 1, "documents": [{"id": 1, "text": "a"}],
                                   "queries": [{"q": "q", "gold": ["2"]}]}]}, "no document '2'"),
        ({"name": "x", "groups": [{"id": 1, "documents": [{"id": 1, "text": "a"}] * 2,
                                   "queries": []}]}, "one id"),
    ],
)  # fmt: skip
def test_what_is_no_data_set_is_refused(tmp_path, content, why):
    with pytest.raises(DatasetError, match=why):
        read_dataset(write(tmp_path / "x.json", content))
    with pytest.raises(DatasetError, match="No such file"):
        read_dataset(tmp_path / "none.json")


@pytest.fixture
def owner_login(transactional_db, settings, database_server):
    """As in a real setup, where the owner's login leads to the same database."""
    parts = urlsplit(database_server.owner)
    name = connection.settings_dict["NAME"]
    settings.OWNER_URL = urlunsplit(parts._replace(path=f"/{name}"))


@pytest.mark.usefixtures("owner_login")
def test_the_command_measures_and_leaves_nothing(workspace, embedder, tmp_path, capsys):
    data = write(tmp_path / "tiny.json", GENERAL)
    call_command("benchmark", "retrieval", "--data", str(data), "--json")
    report = json.loads(capsys.readouterr().out)
    assert (report["dataset"], report["documents"]) == ("tiny", 3)
    assert set(report["modes"]) == {"hybrid", "lexical", "semantic"}
    assert (report["not_reranked"], report["rerank_problem"]) == (0, "")
    lexical = report["modes"]["lexical"]
    assert lexical["documents"]["all"]["queries"] == 2
    assert lexical["documents"]["all"]["frac@10"] == 1.0
    assert lexical["documents"]["categories"]["fact"]["mrr"] == 1.0
    assert lexical["threads"]["categories"]["multi"]["all@5"] == 1.0
    assert [row.slug for row in Workspace.objects.all()] == [workspace.slug]
    with connection.cursor() as cursor, workspace_scope(workspace.id):
        assert not Message.objects.exists()
        assert not Passage.objects.exists()
        cursor.execute("SELECT count(*) FROM contacts_workspace")
        assert cursor.fetchone() == (1,)


@pytest.mark.usefixtures("owner_login")
def test_as_many_hits_are_asked_for_as_is_said(workspace, embedder, tmp_path, monkeypatch, capsys):
    data, asked, ask = write(tmp_path / "tiny.json", GENERAL), [], retrieval.ask
    monkeypatch.setattr(retrieval, "ask", lambda of, query: asked.append(query) or ask(of, query))
    command = "benchmark", "retrieval", "--data", str(data), "--mode", "lexical"
    for more in ((), ("--limit", "20")):
        call_command(*command, *more)
    assert [query.limit for query in asked] == [100, 100, 20, 20]
    with pytest.raises(CommandError, match="limit"):
        call_command(*command, "--limit", "5")


@pytest.mark.usefixtures("owner_login")
def test_the_command_says_that_a_reranker_failed(workspace, embedder, settings, tmp_path, capsys):
    settings.RERANKER, settings.RERANKER_PATH = "local", tmp_path
    data = write(tmp_path / "tiny.json", GENERAL)
    call_command("benchmark", "retrieval", "--data", str(data), "--mode", "hybrid")
    reset_reranker()
    rerank.forget()
    assert f"2 queries were not reranked: {tmp_path} is not a folder" in capsys.readouterr().out


@pytest.mark.usefixtures("owner_login")
def test_a_failure_leaves_nothing_either(workspace, embedder, tmp_path, monkeypatch):
    def broken(*asked):
        raise RuntimeError("no search today")

    monkeypatch.setattr("memory.evaluation.retrieval.ask", broken)
    data = write(tmp_path / "tiny.json", GENERAL)
    with pytest.raises(RuntimeError, match="no search today"):
        call_command("benchmark", "retrieval", "--data", str(data))
    assert [row.slug for row in Workspace.objects.all()] == [workspace.slug]


def test_nobody_begins_what_nobody_may_remove(workspace, settings, tmp_path):
    settings.OWNER_URL = None
    data = write(tmp_path / "tiny.json", GENERAL)
    with pytest.raises(CommandError, match="DATABASE_OWNER_URL"):
        call_command("benchmark", "retrieval", "--data", str(data))
    assert Workspace.objects.count() == 1


def test_every_feature_belongs_to_a_part_but_one():
    """`alone` says which of two kinds of row it is, and is nothing one could do without."""
    of_parts = frozenset().union(*PARTS.values())
    assert of_parts == WEIGHTS.keys() - {"alone"}


@pytest.mark.usefixtures("owner_login")
def test_ablation_says_what_each_part_is_worth(workspace, embedder, tmp_path, capsys):
    file = write(tmp_path / "x.json", GENERAL)
    call_command("benchmark", "retrieval", "--data", str(file), "--ablate", "--json")
    found = json.loads(capsys.readouterr().out)["variants"]
    assert found["all parts"]["queries"] == 2
    assert found["all parts"]["frac@10"] == 1.0
    assert {f"without {part}" for part in PARTS} < found.keys()
    assert found["words alone (BM25)"]["any@5"] == 1.0
    call_command("benchmark", "retrieval", "--data", str(file), "--ablate")
    assert "without neighbours" in capsys.readouterr().out


@pytest.mark.usefixtures("owner_login")
def test_documents_without_a_thread_are_memories(workspace, embedder, tmp_path, capsys):
    group = GENERAL["groups"][0]
    documents = [{k: v for k, v in one.items() if k != "thread"} for one in group["documents"]]
    content = {"name": "notes", "groups": [group | {"documents": documents}]}
    file = write(tmp_path / "x.json", content)
    call_command("benchmark", "retrieval", "--data", str(file), "--json", "--mode", "hybrid")
    found = json.loads(capsys.readouterr().out)["modes"]["hybrid"]
    assert found["documents"]["all"]["frac@10"] == 1.0
    # Each stands for itself.
    assert found["threads"]["categories"]["multi"]["all@5"] == 1.0
