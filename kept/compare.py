"""Old and new offline model side by side: python compare.py [-v] FILE.jsonl ...

Needs the venv of /tmp/h/learned. For each intent: right/cases with Wilson's 95 % bounds, and the
cases with a wrong change (a task-changing call that the case doesn't have), old and new.
"""
import json, math, os, subprocess, sys
from pathlib import Path
OLD, NEW = "/tmp/h/old_offline", "/tmp/h/learned/src"
PY = "/tmp/h/learned/.venv/bin/python"


def work(files):
    sys.path.insert(0, os.environ["OFFLINE"])
    sys.path.append("/tmp/h/learned/src")
    import taskchat_offline
    assert taskchat_offline.__file__.startswith(os.environ["OFFLINE"]), taskchat_offline.__file__
    from collections import Counter
    from taskchat.commands.evaluation.cases import made_call, problem_of, read_cases
    from taskchat_offline.plan import next_step
    tools = frozenset({"add_task", "list_tasks", "complete_task", "delete_task", "update_task"})
    for file in files:
        for case in read_cases(Path(file)):
            rows = [{"id": n, "title": t.title, "description": t.description, "completed": t.completed}
                    for n, t in enumerate(case.tasks, 1)]
            made_count, items = len(rows), []
            out = {"file": file, "id": case.id, "intent": case.intent, "problem": None, "wrong": False, "say": "", "reply": ""}
            for turn in case.turns:
                titles = {r["id"]: r["title"] for r in rows}
                items.append({"role": "user", "content": turn.say})
                made = []
                reply = ""
                try:
                    for _ in range(8):
                        step = next_step(items, tools)
                        if not step.calls:
                            reply = step.reply
                            items.append({"role": "assistant", "content": reply})
                            break
                        for call in step.calls:
                            args = dict(call.arguments)
                            made.append(made_call(call.name, args, titles))
                            if call.name == "list_tasks":
                                st = args.get("status", "all")
                                shown = [dict(r) for r in rows if st == "all" or r["completed"] == (st == "completed")]
                                res = {"tasks": shown, "total": len(shown)}
                            elif call.name == "add_task":
                                made_count += 1
                                rows.append({"id": made_count, "title": args["title"], "description": args.get("description", ""), "completed": False})
                                res = {"task_id": made_count, "status": "created", "title": args["title"]}
                            else:
                                row = next((r for r in rows if r["id"] == args["task_id"]), None)
                                if row is None:
                                    res = f"No task {args['task_id']}. Call list_tasks to see the ids."
                                else:
                                    if call.name == "complete_task": row["completed"] = True
                                    elif call.name == "delete_task": rows.remove(row)
                                    else:
                                        row["title"] = args.get("title", row["title"])
                                        row["description"] = args.get("description", row["description"])
                                    res = {"task_id": row["id"], "status": call.name, "title": row["title"]}
                            cid = f"c{len(items)}"
                            items.append({"type": "function_call", "call_id": cid, "name": call.name, "arguments": json.dumps(args)})
                            items.append({"type": "function_call_output", "call_id": cid, "output": res if isinstance(res, str) else json.dumps(res)})
                    else:
                        reply = ""
                except Exception as error:  # a crash is a miss
                    out.update(problem=f"crash {type(error).__name__}: {error}", say=turn.say)
                    break
                wanted = Counter(json.dumps(c.comparable(), sort_keys=True) for c in turn.calls if c.tool != "list_tasks")
                got = Counter(json.dumps(c.comparable(), sort_keys=True) for c in made if c.tool != "list_tasks")
                problem = problem_of(turn, made, reply)
                if got - wanted:
                    out["wrong"] = True
                if problem:
                    out.update(problem=problem, say=turn.say, reply=reply)
                    break
            print(json.dumps(out))


def run(path, files):
    env = {**os.environ, "OFFLINE": path, "PYTHONDONTWRITEBYTECODE": "1"}
    text = subprocess.run([PY, __file__, "--work", *files], env=env, capture_output=True, text=True)
    if text.returncode:
        sys.exit(text.stderr[-3000:])
    return [json.loads(line) for line in text.stdout.splitlines()]


def wilson(k, n):
    if not n: return 0.0, 0.0
    z, p = 1.959964, k / n
    mid, half = p + z * z / (2 * n), z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return (mid - half) / (1 + z * z / n), (mid + half) / (1 + z * z / n)


def table(old, new, title):
    print(f"\n{title}")
    print(f"{'intent':<10}{'old':>10}{'':>16}{'wrong':>7}{'new':>12}{'':>16}{'wrong':>7}")
    for intent in [*sorted({o['intent'] for o in new}), 'all']:
        line = f"{intent:<10}"
        for rows in (old, new):
            rows = [r for r in rows if intent in (r["intent"], "all")]
            k, n = sum(r["problem"] is None for r in rows), len(rows)
            low, high = wilson(k, n)
            line += f"{k:>5}/{n:<5}{100*k/max(n,1):>5.1f} [{100*low:4.1f},{100*high:5.1f}]{sum(r['wrong'] for r in rows):>5}"
        print(line)


def main():
    files = [f for f in sys.argv[1:] if not f.startswith("-")]
    files = [str(Path(f).resolve()) for f in files]
    new = run(NEW, files)
    old = run(OLD, files) if "-n" not in sys.argv else new
    for file in files:
        table([o for o in old if o["file"] == file], [o for o in new if o["file"] == file], Path(file).name)
    if len(files) > 1:
        table(old, new, "together")
    if "-v" in sys.argv:
        for r in new:
            if r["problem"]:
                print(f"{r['id']}{' WRONG' if r['wrong'] else ''}: {r['say']!r}\n    {r['problem']} -> {r['reply'][:150]!r}")


if __name__ == "__main__":
    if sys.argv[1] == "--work":
        work(sys.argv[2:])
    else:
        main()
