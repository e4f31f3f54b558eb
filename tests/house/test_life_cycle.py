from chaos_store import life_cycle
from chaos_store.commands import COMMANDS
from chaos_store.states import TRANSITIONS, Event
from tests.house.tree import ROOT


def test_the_page_is_what_the_code_says() -> None:
    assert (ROOT / "docs" / "life-cycle.md").read_text() == life_cycle.page(), "run ./scripts/docs"


def test_the_page_tells_each_transition_once() -> None:
    told = {command.event for command in COMMANDS.values()} | set(life_cycle.HAPPENINGS)
    assert told == set(Event) == {event for _, event in TRANSITIONS}
    assert not {command.event for command in COMMANDS.values()} & set(life_cycle.HAPPENINGS)
