"""The model card: the lineage as a page for people."""

from collections.abc import Iterable, Mapping
from typing import Any

from .schemas.lineage import LineageOut

CARD_FILE = "MODEL_CARD.md"
PAGE = """# {name}

A recurrent network (`{cell}`, {parameter_count} parameters) that was trained on a time series and runs on by itself.

    {equation}

Licence: {licence}

## Use

`model.safetensors` holds the weights, and under the metadata key `chaos` settings, scaling and start; `model.onnx` is \
one step for any ONNX runtime; `reader.py` runs the model on numpy alone. States are in the cell's own units, \
observations in those of the data.

## Scores

On the last piece of the series, which the training never saw. The floor is the same metric between the two halves of \
that piece: a value near it cannot be told from the truth.

{scores}

## Lineage

{lineage}

The whole of it, with plan, analysis, attempts and checkpoints: `lineage.json`, `GET /v1/models/{id}/lineage`.

## References

{papers}
"""


def card(told: LineageOut) -> str:
    return PAGE.format(
        **told.model.model_dump(),
        scores=_table(("of", "metric", "value", "floor", "remark"), _scores(told)),
        lineage=_table(("what", "value"), _facts(told)),
        papers=references(told),
    )


def references(told: LineageOut) -> str:
    by_source: dict[str, list[str]] = {}
    for paper in told.papers:
        by_source.setdefault(paper.source, []).append(paper.of)
    return "\n".join(f"- {source} ({', '.join(kinds)})" for source, kinds in by_source.items()) or "none"


def _facts(told: LineageOut) -> Iterable[tuple[str, ...]]:
    data, job, code = told.dataset, told.job, told.code or {}
    yield "model sha256", f"`{told.model.sha256}`"
    yield "data", f"{_plain(data.name)}, {data.rows} rows of {data.channels} channels, dt {_number(data.dt)}"
    yield "data hash (series)", f"`{data.series_digest or data.series_sha256}`"
    yield "data hash (file)", f"`{data.content_sha256}`"
    if told.analysis is not None:
        result = told.analysis.result or {}
        exponent = _number(result.get("lambda_max_per_step"))
        yield (
            "analysis",
            f"{result.get('verdict')}, lambda_max {exponent} nats a step, version {told.analysis.analyser_version}",
        )
    for step in told.start_from:
        gone = "" if step.present else ", deleted since"
        yield "started from", f"{step.kind} {step.id}, sha256 `{step.sha256}`{gone}"
    yield "plan hash", f"`{job.plan_hash}`"
    yield "seed", str(job.seed)
    yield "job", f"{job.id}, attempt {job.attempt}, {len(told.checkpoints)} checkpoints kept"
    yield "kernel, device", f"{job.kernel}, {job.device}"
    yield "code", f"{code.get('release', 'unknown')}, core sha256 `{code.get('core_sha256', 'unknown')}`"
    yield "trained", f"{job.finished_at:%Y-%m-%d}" if job.finished_at else "not finished"


def _scores(told: LineageOut) -> Iterable[tuple[str, ...]]:
    yield from _rows("this model", told.scores or {})
    for baseline, scores in (told.baselines or {}).items():
        if isinstance(scores, dict):
            yield from _rows(f"baseline {baseline}", scores)


def _rows(of: str, scores: Mapping[str, Any]) -> Iterable[tuple[str, ...]]:
    for name, score in scores.items():
        if isinstance(score, dict) and "value" in score:
            preset = (score.get("detail") or {}).get("preset")
            remark = score.get("reason") or (f"preset {preset}" if preset else "")
            yield of, f"`{name}`", _number(score["value"]), _number(score.get("floor")), _plain(remark)


def _number(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, int | float) else "-"


def _plain(text: str) -> str:
    return text.replace("|", r"\|").replace("\n", " ")


def _table(heads: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (heads, *rows)]
    return "\n".join([lines[0], "|" + "---|" * len(heads), *lines[1:]]) if len(lines) > 1 else "none"
