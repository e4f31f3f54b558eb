"""What a file may cost at most. The service fills these from its settings; GET /v1/limits shows them."""

from pydantic import BaseModel, ConfigDict, PositiveInt

__all__ = ["Limits"]

MIB = 1024 * 1024


class Limits(BaseModel):
    """Bounds that hold whatever the file says about itself.

    Args:
        max_rows: more rows are refused.
        max_columns: more columns are refused; 4096 columns of text also bound what one line may cost.
        max_expanded_bytes: a compressed file, or an array that the file announces, may not become larger than this.
        max_expansion_ratio: from 64 MiB on, nothing may become so many times larger than the bytes it came from.
        max_file_members: most arrays, groups or parts that a file may hold.
        max_nesting_depth: most levels of nesting (JSON, groups of HDF5).
        max_file_header_bytes: longest header (of an array, of Parquet, of NetCDF) that is looked at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_rows: PositiveInt = 50_000_000
    max_columns: PositiveInt = 4096
    max_expanded_bytes: PositiveInt = 4096 * MIB
    max_expansion_ratio: PositiveInt = 500
    max_file_members: PositiveInt = 1000
    max_nesting_depth: PositiveInt = 16
    max_file_header_bytes: PositiveInt = 16 * MIB
