"""Messages and exit codes between supervisor and runner."""

import pytest
from pydantic import ValidationError

from chaos_core.errors import ChaosError, DataError, Diverged, OutOfMemory, RunError, SpecError, TooShort
from worker.protocol import (
    EXIT_CODES,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    EXIT_REFUSED,
    ArtifactMade,
    CheckpointSaved,
    Failed,
    Measurement,
    Message,
    Progress,
    Ready,
    Stage,
    decode,
    encode,
    error_of_exit,
    exit_code,
)


def everything_below(kind: type[ChaosError]) -> list[type[ChaosError]]:
    return [kind, *(found for child in kind.__subclasses__() for found in everything_below(child))]


@pytest.mark.parametrize(
    "message",
    [
        Ready(),
        Stage(stage="training"),
        Progress(update=3, total=9, metrics=(Measurement(name="loss", step=3, value=0.1),)),
        CheckpointSaved(
            file="checkpoint-3",
            update=3,
            best=True,
            model=ArtifactMade(kind="model", file="3-m", name="m", media_type="x/y", facts={"parameter_count": 1}),
        ),
        ArtifactMade(kind="figure", file="a.svg", name="a.svg", media_type="image/svg+xml"),
        Failed(problem=Diverged("the loss is nan", update=7).problem()),
    ],
)
def test_a_message_survives_the_pipe_as_one_line(message: Message) -> None:
    line = encode(message)
    assert line.count(b"\n") == 1 and line.endswith(b"\n")
    assert decode(line) == message


def test_an_unknown_message_is_refused() -> None:
    with pytest.raises(ValidationError):
        decode(b'{"type": "dance"}')


def test_every_run_error_has_an_exit_code_of_its_own() -> None:
    codes = [exit_code(kind) for kind in everything_below(RunError)]
    assert len(set(codes)) == len(codes) == len(EXIT_CODES)
    assert not set(codes) & {EXIT_DONE, EXIT_INTERRUPTED, EXIT_REFUSED}
    assert all(0 < code < 126 for code in codes), "126 and above belong to the shell and to signals"


@pytest.mark.parametrize("kind", [DataError, SpecError, TooShort])
def test_blame_on_data_or_spec_ends_with_one_code(kind: type[ChaosError]) -> None:
    assert exit_code(kind) == EXIT_REFUSED


@pytest.mark.parametrize("kind", [Diverged, OutOfMemory])
def test_an_exit_code_alone_tells_the_kind_of_failure(kind: type[ChaosError]) -> None:
    error = error_of_exit(exit_code(kind), attempt=2)
    assert type(error) is kind and error.fields["attempt"] == 2


@pytest.mark.parametrize("code", [EXIT_DONE, EXIT_INTERRUPTED, 1, -9, -11])
def test_clean_ends_and_violent_deaths_are_no_typed_failure(code: int) -> None:
    assert error_of_exit(code) is None
