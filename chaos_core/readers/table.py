"""From named columns of numbers to a Series: which columns are channels, which one is the time, what is missing."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from chaos_core.errors import EmptyData, IrregularTime, NotFinite, UnknownColumn
from chaos_core.readers.options import ReadOptions
from chaos_core.readers.refusals import HeaderTooLong, printable
from chaos_core.series import Series
from chaos_core.typing import Floats, Ints

__all__ = ["Selection", "Table", "choose", "columns_at", "distinct", "is_time_name", "to_series"]

TIME_NAMES = {"t", "time", "timestamp", "date", "datetime", "seconds", "time_s", "time_ms", "t_s", "t_ms"}
COUNTER_NAMES = {"", "index", "unnamed: 0", "row", "sample"}

NAME_CHARS = 1000

JITTER = 0.01
"""Steps may differ from their median by this share: clocks do, and it harms nothing."""


@dataclass(frozen=True)
class Selection:
    """Positions of the columns to read, in order; `time` is the position of the time column, `wanted` says that the
    sender named it; `counter` is an unnamed first column that may merely count the rows; `inputs` and `stretch` are
    columns that are no channels."""

    channels: tuple[int, ...]
    time: int | None
    wanted: bool
    counter: int | None
    inputs: tuple[int, ...] = ()
    stretch: int | None = None

    @property
    def positions(self) -> tuple[int, ...]:
        """Every column that must be read, without repetition."""
        others = (self.time, *self.inputs, self.stretch)
        return tuple(dict.fromkeys((*self.channels, *(i for i in others if i is not None))))


@dataclass(frozen=True)
class Table:
    """Numbers as read: x (T, K) for the K columns of `positions`, and how an entry is called in the file; `stretch`
    (T,) numbers the recordings where the file itself keeps them apart, and `dt` is the step that it states."""

    names: tuple[str, ...]
    positions: tuple[int, ...]
    x: Floats
    where: Callable[[int, int], dict[str, str | int]]
    stretch: Ints | None = None
    dt: float | None = None

    def column(self, position: int) -> Floats:
        """(T,) values of the column at this position of the file."""
        values: Floats = self.x[:, self.positions.index(position)]
        return values


def choose(names: tuple[str, ...], options: ReadOptions) -> Selection:
    """Which columns to read.

    Raises:
        UnknownColumn: a column that was asked for is not there.
        EmptyData: nothing but a time column is left.
        HeaderTooLong: a column's name is no name.
    """
    longest = max(map(len, names), default=0)
    if longest > NAME_CHARS:
        detail = f"a column's name has {longest} characters; at most {NAME_CHARS} are allowed"
        raise HeaderTooLong(detail, value=longest, limit=NAME_CHARS)
    wanted = options.time_column is not None
    time = _position(options.time_column, names) if options.time_column is not None else _time_like(names)
    inputs = tuple(dict.fromkeys(_position(column, names) for column in options.inputs or ()))
    stretch = None if options.stretch_column is None else _position(options.stretch_column, names)
    if options.columns:
        channels = tuple(dict.fromkeys(_position(column, names) for column in options.columns))
        time = None if time in channels and not wanted else time
        return _apart(Selection(channels, time, wanted, None, inputs, stretch), names)
    counter = 0 if len(names) > 1 and _plain(names[0]) in COUNTER_NAMES and time != 0 else None
    taken = {*inputs, stretch, time if wanted else None}
    channels = tuple(i for i in range(len(names)) if i not in taken)
    if not channels:
        raise EmptyData(f"there is no column besides '{names[0]}' and what is said to be no channel", column=names[0])
    return _apart(Selection(channels, time, wanted, counter, inputs, stretch), names)


def _apart(found: Selection, names: tuple[str, ...]) -> Selection:
    """The selection, unless one column is wanted for two things."""
    wanted = [*found.inputs, *((found.stretch,) if found.stretch is not None else ())]
    own = {*found.channels, *((found.time,) if found.time is not None and found.wanted else ())}
    twice = [i for i in wanted if i in own or wanted.count(i) > 1]
    if twice:
        name = names[twice[0]]
        detail = f"column '{name}' cannot be two of channel, input, time and stretch column at once"
        raise UnknownColumn(detail, column=name, known=list(names[:100]))
    return found


def to_series(table: Table, selection: Selection, options: ReadOptions) -> tuple[Series, str | None]:
    """Checks the numbers and builds the series.

    Args:
        table: the columns of `selection.positions`.
        selection: which of them are channels, and which is the time.
        options: the sender's words.

    Returns:
        The series, and the name of the time column where there is one.

    Raises:
        NotFinite: an entry is missing or infinite and `missing` is not "mask".
        IrregularTime: the time column does not increase in even steps.
        EmptyData, TooShort, ConstantChannel: as `Series` says.
    """
    channels, time = list(selection.channels), selection.time
    dt = table.dt if options.dt is None else options.dt
    if time is not None and not selection.wanted and not _runs_on(table.column(time)):
        time = None
    stretch = _stretches(table, selection)
    if time is not None:
        dt = _even_step(table, time, stretch) if dt is None else dt
        if not selection.wanted and time in channels:
            channels.remove(time)
    if selection.counter is not None and len(channels) > 1 and _counts(table.column(selection.counter)):
        channels.remove(selection.counter)
    if options.missing == "refuse":
        _refuse_gaps(table, channels)
    _refuse_gaps(table, list(selection.inputs))
    series = Series(
        _columns(table, channels),
        dt,
        copy=False,
        names=[table.names[i] or f"x{i}" for i in channels],
        stretch=stretch,
        missing=options.missing,
        inputs=_columns(table, list(selection.inputs)) if selection.inputs else None,
        input_names=[table.names[i] or f"u{i}" for i in selection.inputs] if selection.inputs else None,
    )
    return series, None if time is None else table.names[time]


def _columns(table: Table, positions: list[int]) -> Floats:
    return columns_at(table.x, [table.positions.index(i) for i in positions])


def columns_at(x: Floats, places: Sequence[int]) -> Floats:
    """The columns at these places, without a copy where these are all of them: tables may be large."""
    values: Floats = x if list(places) == list(range(x.shape[1])) else x[:, list(places)]
    return values


def _stretches(table: Table, selection: Selection) -> Ints | None:
    """(T,) number of the recording of each row; one of the file itself and one of the stretch column together."""
    if selection.stretch is None:
        return table.stretch
    values = table.column(selection.stretch)
    gaps = np.flatnonzero(~np.isfinite(values))
    if gaps.size:
        raise _gap(table, int(gaps[0]), selection.stretch, int(gaps.size))
    fresh = np.diff(values) != 0
    if table.stretch is not None:
        fresh |= np.diff(table.stretch) != 0
    return np.concatenate([[0], np.cumsum(fresh)]).astype(np.int64)


def distinct(names: Iterable[object]) -> tuple[str, ...]:
    """Names from a file as names of columns: printable, and each one once."""
    taken: dict[str, None] = {}
    counts: dict[str, int] = {}
    for position, raw in enumerate(names):
        name = printable(raw, NAME_CHARS + 1) or f"x{position}"
        label = name
        while label in taken:
            counts[name] = counts.get(name, 1) + 1
            label = f"{name}_{counts[name]}"
        taken[label] = None
    return tuple(taken)


def is_time_name(name: str) -> bool:
    """Whether a column of this name may hold the time."""
    return _plain(name) in TIME_NAMES


def _plain(name: str) -> str:
    """A header without its unit: "Time (s)" and "time [ms]" are both time."""
    return name.split("(")[0].split("[")[0].strip().lower()


def _time_like(names: tuple[str, ...]) -> int | None:
    if len(names) < 2:
        return None
    return next((i for i, name in enumerate(names) if is_time_name(name)), None)


def _position(column: str | int, names: tuple[str, ...]) -> int:
    if isinstance(column, str) and column in names:
        return names.index(column)
    number = int(column) if str(column).isdecimal() and len(str(column)) < 10 else -1
    if not 0 <= number < len(names):
        raise UnknownColumn(
            f"there is no column '{printable(column)}'", column=printable(column), known=list(names[:100])
        )
    return number


def _runs_on(values: Floats) -> bool:
    """Nearly all steps have one sign: a clock, though perhaps one with a flaw that has to be named."""
    return len(values) > 1 and float(abs(np.mean(np.sign(np.diff(values))))) > 0.9


def _counts(values: Floats) -> bool:
    return len(values) > 1 and bool((np.diff(values) == 1).all())


def _refuse_gaps(table: Table, channels: list[int]) -> None:
    bad = ~np.isfinite(_columns(table, channels))
    if bad.any():
        row, place = (int(i) for i in np.argwhere(bad)[0])
        raise _gap(table, row, channels[place], int(bad.sum()))


def _gap(table: Table, row: int, position: int, count: int) -> NotFinite:
    value = table.x[row, table.positions.index(position)]
    kind = "missing value" if np.isnan(value) else f"infinite value ({value})"
    fields = table.where(row, position)
    more = f" ({count} such entries in all)" if count > 1 else ""
    return NotFinite(
        f"{kind} in column '{table.names[position]}', row {row}{_line(fields)}{more}", count=count, **fields
    )


def _line(fields: dict[str, str | int]) -> str:
    return f" (line {fields['line']} of the file)" if "line" in fields else ""


def _even_step(table: Table, time: int, stretch: Ints | None = None) -> float:
    """The sampling step of a time column; where several recordings follow each other, that of the longest.

    Steps may be uneven by `JITTER`, or by the rounding of the printed numbers where that is at most half a step
    (1/360 s printed in milliseconds). The step is given with no more digits than the numbers support.
    """
    values = table.column(time)
    gaps = np.flatnonzero(~np.isfinite(values))
    if gaps.size:
        raise _gap(table, int(gaps[0]), time, int(gaps.size))
    first = 0
    if stretch is not None and stretch[-1]:
        longest = int(np.bincount(stretch).argmax())
        first = int(np.searchsorted(stretch, longest))
        values = values[first : int(np.searchsorted(stretch, longest + 1))]
    steps = np.diff(values)
    if not steps.size:
        raise IrregularTime("one row has no time step", row=0, column=table.names[time])
    usual = float(np.median(steps))
    allowed = JITTER * abs(usual)
    unit = _printed_unit(values)
    mean = float(values[-1] - values[0]) / len(steps)
    drift = np.abs(values - values[0] - mean * np.arange(len(values)))
    if 2 * unit <= mean and float(drift.max()) <= 2 * unit:
        usual, allowed = mean, max(allowed, unit * (1 - 1e-6))
    bad = np.flatnonzero((steps <= 0) | (np.abs(steps - usual) > allowed))
    if bad.size:
        place = int(bad[0]) + 1
        row = first + place
        fields = table.where(row, time)
        raise IrregularTime(
            f"column '{table.names[time]}' goes from {values[place - 1]:.10g} to {values[place]:.10g} at row {row}"
            f"{_line(fields)}; the usual step is {usual:.6g}",
            step=float(steps[place - 1]),
            usual_step=usual,
            **fields,
        )
    doubt = (float(np.ptp(steps)) + 2 * float(np.spacing(np.abs(values).max()))) / len(steps)
    rounded = (float(f"{mean:.{digits}g}") for digits in range(1, 17))
    return next((step for step in rounded if abs(step - mean) <= doubt), mean)


def _printed_unit(values: Floats) -> float:
    """The power of ten that the first numbers are multiples of, 0 where there is none above 1e-9."""
    values = values[:10_000]
    for digits in range(10):
        scaled = values * 10.0**digits
        if (np.abs(scaled - np.round(scaled)) <= 1e-9 * np.maximum(1.0, np.abs(scaled))).all():
            return float(10.0**-digits)
    return 0.0
