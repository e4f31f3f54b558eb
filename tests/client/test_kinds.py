import json

from typer.testing import CliRunner

from chaos_client.cli.kinds import FAMILIES
from chaos_client.cli.main import app


def test_all_kinds_are_listed_with_what_they_are() -> None:
    shown = CliRunner().invoke(app, ["kinds"])
    assert shown.exit_code == 0
    assert "W [z_1" in " ".join(shown.output.split()), "square brackets are no markup"
    for members in FAMILIES.values():
        for kind in members:
            assert kind in shown.output


def test_the_listing_as_json_says_how_each_is_set() -> None:
    found = json.loads(CliRunner().invoke(app, ["kinds", "--json"]).output)
    assert {family: set(members) for family, members in found.items()} == {
        family: set(members) for family, members in FAMILIES.items()
    }
    hidden = found["cell"]["clipped_shplrnn"]["settings_schema"]["properties"]["hidden"]
    assert hidden["description"] == "L, the number of hidden units."
    assert all(facts["summary"] for members in found.values() for facts in members.values())
