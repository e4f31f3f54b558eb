"""Every error that the science core raises, as one tree.

ChaosError
├── DataError            the series cannot be used as it is
│   ├── EmptyData, TooShort, BadShape, NotReal, BadStep, TooLarge
│   ├── NotFinite, ConstantChannel, ColumnNotNumeric, RaggedRow
│   ├── UnknownColumn, IrregularTime
│   └── UnknownFormat, UnreadableFile, PickleRefused, ParserLimit
├── SpecError            the client's words do not fit together
│   └── UnknownKind, Inconsistent, SpecTooLarge
└── RunError             the work itself failed
    ├── Diverged, Exploded, Collapsed
    ├── OutOfMemory, DiskLimit, Stalled, TimeLimit, DeadlinePassed
    └── DeviceUnavailable, CheckpointUnreadable, RunnerCrashed

Positions: `row` is the index counted from 0, as in `x[row]`; `line` is the line of a text file counted from 1;
`column` is the channel's name.
"""

from typing import Any, ClassVar

__all__ = [
    "BadShape",
    "BadStep",
    "ChaosError",
    "CheckpointUnreadable",
    "Collapsed",
    "ColumnNotNumeric",
    "ConstantChannel",
    "DataError",
    "DeadlinePassed",
    "DiskLimit",
    "Diverged",
    "EmptyData",
    "Exploded",
    "Inconsistent",
    "IrregularTime",
    "NotFinite",
    "NotReal",
    "OutOfMemory",
    "ParserLimit",
    "PickleRefused",
    "RaggedRow",
    "RunError",
    "RunnerCrashed",
    "SpecError",
    "SpecTooLarge",
    "Stalled",
    "TimeLimit",
    "TooLarge",
    "TooShort",
    "UnknownColumn",
    "UnknownFormat",
    "UnknownKind",
    "UnreadableFile",
    "revive",
]


class ChaosError(Exception):
    """Base of all errors: a stable `code`, one sentence, typed fields and what to do about it."""

    code: ClassVar[str] = "chaos_error"
    title: ClassVar[str] = "Something went wrong"
    remedy: ClassVar[str] = "Report this with the request id."

    def __init__(self, detail: str, **fields: Any) -> None:
        super().__init__(detail)
        self.detail = detail
        self.fields = fields

    def problem(self) -> dict[str, Any]:
        """The error as JSON: code, title, detail, remedy and its fields."""
        return {
            "code": self.code,
            "title": self.title,
            "detail": self.detail,
            "remedy": self.remedy,
            **self.fields,
        }


class DataError(ChaosError):
    """The series cannot be used as it is."""

    code = "data_error"
    title = "The data cannot be used"
    remedy = "Correct the series and send it again."


class EmptyData(DataError):
    """There is no number in it."""

    code = "empty_data"
    title = "The data are empty"
    remedy = "Send at least one column of numbers."


class TooShort(DataError):
    """Fewer rows than the work needs; fields `rows`, `rows_needed`."""

    code = "too_short"
    title = "The series is too short"
    remedy = "Send a longer recording, or ask for shorter training sequences."


class BadShape(DataError):
    """Not an array of (time, channels); field `shape`."""

    code = "bad_shape"
    title = "The array has the wrong shape"
    remedy = "Send (T,) or (T, N): time runs along the first axis, channels along the second."


class NotReal(DataError):
    """Complex, textual or structured entries; field `dtype`."""

    code = "not_real"
    title = "The array does not hold real numbers"
    remedy = "Send integers or floating-point numbers, one channel a column."


class BadStep(DataError):
    """A sampling step that is no positive number; field `dt`."""

    code = "bad_step"
    title = "The sampling step cannot be used"
    remedy = "Give `dt` as a positive number in your time unit, or leave it out."


class TooLarge(DataError):
    """More rows, columns or bytes than allowed; fields `value`, `limit`."""

    code = "data_too_large"
    title = "The data are too large"
    remedy = "Send fewer rows or columns; GET /v1/limits shows the limits."


class NotFinite(DataError):
    """A missing, NaN or infinite entry; fields `row`, `column`."""

    code = "not_finite"
    title = "An entry is missing or not finite"
    remedy = "Fill or remove the entry, or say missing=mask to leave such entries out of training."


class ConstantChannel(DataError):
    """A channel that never changes; field `column`."""

    code = "constant_channel"
    title = "A channel is constant"
    remedy = "Leave the channel out: a constant has no dynamics to learn."


class ColumnNotNumeric(DataError):
    """A cell that is not a number; fields `row`, `column`, `text`."""

    code = "column_not_numeric"
    title = "A cell is not a number"
    remedy = "Remove or correct the cell, or choose other columns with `columns`."


class RaggedRow(DataError):
    """A row with too many or too few cells; fields `row`, `line`."""

    code = "ragged_row"
    title = "A row has another number of cells than the header"
    remedy = "Give each row the same number of cells."


class UnknownColumn(DataError):
    """A column that was asked for and is not there; field `column`."""

    code = "unknown_column"
    title = "There is no such column"
    remedy = "Use one of the names listed in `known`."


class IrregularTime(DataError):
    """The time column is not evenly spaced; fields `row`, `column`."""

    code = "irregular_time"
    title = "The time column is not evenly spaced"
    remedy = "Resample the series to a fixed step, or leave the time column out and give `dt`."


class UnknownFormat(DataError):
    """Neither the name nor the bytes say what it is."""

    code = "unknown_format"
    title = "The format is not known"
    remedy = "Send CSV, TSV, NPY, NPZ, Parquet, HDF5, MATLAB, NetCDF or JSON, plain or as .gz or .zst."


class UnreadableFile(DataError):
    """The bytes are not what the format demands."""

    code = "unreadable_file"
    title = "The file cannot be read"
    remedy = "Check that the file is complete and in the format that its name says."


class PickleRefused(DataError):
    """The array holds Python objects, which only a pickle can store."""

    code = "pickle_refused"
    title = "Pickled data are refused"
    remedy = "Save a plain numeric array: np.save(file, array.astype(float))."


class ParserLimit(DataError):
    """Parsing took more memory or time than allowed; field `limit`."""

    code = "parser_limit"
    title = "Parsing the file took too much memory or time"
    remedy = "Send a smaller file, or the same numbers as .npy."


class SpecError(ChaosError):
    """The client's words do not fit together."""

    code = "spec_error"
    title = "The job's spec cannot be used"
    remedy = "Correct the spec; GET /v1/model-types lists what there is."


class UnknownKind(SpecError):
    """No cell, forcing, metric or preset of that name; field `known`."""

    code = "unknown_kind"
    title = "There is no such kind"
    remedy = "Use one of the kinds listed in `known`."


class Inconsistent(SpecError):
    """Two settings, or a setting and the data, contradict each other."""

    code = "inconsistent_spec"
    title = "Settings contradict each other"
    remedy = "Change one of the settings named in `detail`, or leave it to `auto`."


class SpecTooLarge(SpecError):
    """More parameters or updates than allowed; fields `value`, `limit`."""

    code = "spec_too_large"
    title = "The job is larger than allowed"
    remedy = "Ask for fewer units, shorter sequences or fewer updates."


class RunError(ChaosError):
    """The work itself failed."""

    code = "run_error"
    title = "The run failed"
    remedy = "See `detail`."


class Diverged(RunError):
    """Loss, gradient or parameters became non-finite; field `update`."""

    code = "diverged"
    title = "Training diverged"
    remedy = "Force more often (smaller tau or larger alpha), clip gradients, or lower the learning rate."


class Exploded(RunError):
    """The free run left ten times the box of the data; `update` of the last look, `since` of the first bad one."""

    code = "exploded"
    title = "The free run leaves the data's region"
    remedy = "Train longer, force less often towards the end, or use a clipped cell."


class Collapsed(RunError):
    """The free run stands still, or shrinks below 20 % of the data's spread; `update`, `since` as for Exploded."""

    code = "collapsed"
    title = "The free run collapses to a point or a small orbit"
    remedy = "Force more often (smaller tau), train longer, or try another seed."


class OutOfMemory(RunError):
    """The run needed more memory than it may use; field `limit_bytes`."""

    code = "out_of_memory"
    title = "The run needed too much memory"
    remedy = "Use shorter sequences, a smaller batch or fewer units."


class Stalled(RunError):
    """No progress for too long; field `idle_s`."""

    code = "stalled"
    title = "The run made no progress"
    remedy = "Retry the job; if it stalls again, report it with the job id."


class DiskLimit(RunError):
    """The run wrote more files than allowed; fields `value`, `limit`."""

    code = "disk_limit"
    title = "The run used too much disk"
    remedy = "Ask for a smaller network or a shorter free run."


class TimeLimit(RunError):
    """The run took longer than allowed; field `limit_s`."""

    code = "time_limit"
    title = "The run took too long"
    remedy = "Ask for fewer updates or shorter sequences."


class DeadlinePassed(RunError):
    """The job was not done when its time was up; field `deadline`, seconds since 1970."""

    code = "deadline_passed"
    title = "The job was not done before its deadline"
    remedy = "Give a later deadline (PATCH /v1/jobs/{id}) or none, and retry; a higher priority starts sooner."


class DeviceUnavailable(RunError):
    """The plan asks for a device that the worker's machine lacks; field `device`."""

    code = "device_unavailable"
    title = "The device asked for is not there"
    remedy = "Leave `training.device` to `auto`, ask for `cpu`, or start a worker on a machine with CUDA."


class CheckpointUnreadable(RunError):
    """A checkpoint that does not belong to this plan or is damaged."""

    code = "checkpoint_unreadable"
    title = "The checkpoint cannot be used"
    remedy = "Start the job again from the beginning."


class RunnerCrashed(RunError):
    """The training process died without a word; fields `exit_code`, `attempt`."""

    code = "runner_crashed"
    title = "The training process died"
    remedy = "Retry the job; if it dies again, report it with the job id."


def _tree(root: type[ChaosError]) -> dict[str, type[ChaosError]]:
    found = {root.code: root}
    for child in root.__subclasses__():
        found |= _tree(child)
    return found


def revive(problem: dict[str, Any]) -> ChaosError:
    """Turns `problem()` of another process back into the error; unknown codes become a plain RunError."""
    kind = _tree(ChaosError).get(str(problem.get("code")), RunError)
    fields = {key: value for key, value in problem.items() if key not in ("code", "title", "detail", "remedy")}
    return kind(str(problem.get("detail", "")), **fields)
