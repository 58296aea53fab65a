"""A report for a person, and for a program."""

import json

from taskchat.commands.evaluation.run import Report, Score


def as_text(report: Report) -> str:
    """The score of each intent, and each miss."""
    lines = [f"model: {', '.join(report.models) or 'none answered'}", ""]
    for intent, score in _ordered(report):
        lines.append(f"{intent:<10} {score.right:>4} of {score.cases:<4} {score.share:>6.1%}")
    for case, miss in report.misses:
        lines += ["", f"{case.id}: {miss.say!r}", f"  {miss.problem}", f"  reply: {miss.reply!r}"]
    return "\n".join(lines)


def as_data(report: Report) -> str:
    """The same as JSON: models, intents (right, cases, share), misses (id, say, problem, reply)."""
    return json.dumps(
        {
            "models": report.models,
            "intents": {
                intent: {"right": score.right, "cases": score.cases, "share": score.share}
                for intent, score in _ordered(report)
            },
            "misses": [
                {
                    "id": case.id,
                    "intent": case.intent,
                    "say": miss.say,
                    "problem": miss.problem,
                    "reply": miss.reply,
                }
                for case, miss in report.misses
            ],
        },
        ensure_ascii=False,
        indent=2,
    )


def _ordered(report: Report) -> list[tuple[str, Score]]:
    """Sorted by intent, with the sum last."""
    return sorted(report.intents.items(), key=lambda item: (item[0] == "all", item[0]))
