import json

from typer.testing import CliRunner

from chaos_client.cli.main import app
from chaos_core.families import FAMILIES


def test_all_kinds_are_listed_with_what_they_are() -> None:
    shown = CliRunner().invoke(app, ["kinds"])
    assert shown.exit_code == 0
    assert "W [z_1" in " ".join(shown.output.split()), "square brackets are no markup"
    for members in FAMILIES.values():
        for kind in members:
            assert kind in shown.output


def test_the_listing_as_json_says_how_each_is_set() -> None:
    found = json.loads(CliRunner().invoke(app, ["kinds", "--json"]).output)
    assert {family: [entry["kind"] for entry in entries] for family, entries in found.items()} == {
        family: list(members) for family, members in FAMILIES.items()
    }
    cells = {entry["kind"]: entry for entry in found["cells"]}
    hidden = cells["clipped_shplrnn"]["settings_schema"]["properties"]["hidden"]
    assert hidden["description"] == "L, the number of hidden units."
    assert all(entry["summary"] for entries in found.values() for entry in entries)
