"""Summaries of sessions: `get_summarizer()` gives the configured way to make them.

Not for reading sessions (material.py) or writing the result (services/summaries.py).
"""

from django.conf import settings

from memory.embedding import EmbeddingError, get_embedder
from memory.summaries.base import Draft, Material, Summarizer, SummaryError

__all__ = ["Draft", "Material", "Summarizer", "SummaryError", "get_summarizer"]


def get_summarizer() -> Summarizer:
    """By REMEMBRANCER_SUMMARY_PROVIDER. Raises SummaryError for settings that cannot be used."""
    provider = settings.SUMMARY_PROVIDER
    if provider == "extractive":
        from memory.summaries.extractive import ExtractiveSummarizer

        try:
            embedder = get_embedder()
        except EmbeddingError:
            # Search says so wherever meaning is asked for; a summary can do with words.
            embedder = None
        return ExtractiveSummarizer(embedder)
    from memory.summaries.remote import AnthropicSummarizer, OpenAISummarizer

    kind = OpenAISummarizer if provider == "openai" else AnthropicSummarizer
    return kind(
        url=settings.SUMMARY_URL,
        model=settings.SUMMARY_MODEL,
        api_key=settings.SUMMARY_API_KEY,
        timeout=settings.SUMMARY_TIMEOUT,
    )
