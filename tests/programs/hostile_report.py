"""Functions whose names are no names: hostile_report.py burns in each of them; hostile_report.py check JSON CSV
PROFILE reads what `monprof report` and `monprof export -f json` made of that, as any other program would."""

import csv
import json
import sys
import time

NAMES = ["a;b 12", 'quote" \\back', "new\nline,\r\n", "</script>", "\u202eright to left", "\u65e5\u672c", "=1+1"]


def spin():
    end = time.thread_time() + 0.05
    while time.thread_time() < end:
        pass


def burn():
    for name in NAMES:
        code = spin.__code__.replace(co_name=name, co_qualname=name)
        type(spin)(code, globals())()


def check_profile(path, rows):
    """Each function's own time, from the tables, is what the report has."""
    with open(path, encoding="utf-8", newline="") as file:
        profile = json.load(file)
    self = {}
    for sample in profile["samples"]:
        if sample["node"] is not None:
            frame = profile["frames"][profile["nodes"][sample["node"]]["frame"]]
            name = profile["functions"][frame["function"]]["name"]
            self[name] = self.get(name, 0) + sample["value"]
    assert profile["measurement"] == "cpu" and profile["metrics"][0]["unit"] == "nanoseconds"
    for name in NAMES:
        wanted = sum(row["self"] for row in rows if row["name"] == "hostile_report." + name)
        assert self["hostile_report." + name] == wanted > 0, name
    assert all(node["parent"] is None or node["parent"] < at for at, node in enumerate(profile["nodes"]))


def check(json_path, csv_path, profile_path):
    with open(json_path, encoding="utf-8", newline="") as file:
        report = json.load(file)
    (table,) = report["tables"]
    with open(csv_path, encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, strict=True))
    assert table["measurement"] == "cpu" and table["unit"] == "nanoseconds", table
    assert all(None not in row and None not in row.values() for row in rows), rows
    for row, same in zip(table["rows"], rows, strict=True):
        assert {key: "" if value is None else str(value) for key, value in row.items()} == {
            key: value for key, value in same.items() if key in row
        }, (row, same)
    assert sum(row["self"] for row in table["rows"]) <= table["value"]
    names = {row["name"] for row in table["rows"]}
    assert names >= {"hostile_report." + name for name in NAMES}, names
    check_profile(profile_path, table["rows"])
    print("good")


if sys.argv[1:2] == ["check"]:
    check(*sys.argv[2:])
else:
    burn()
