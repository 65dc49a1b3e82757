"""Parquet files as tables."""

import numpy as np

from auditor.audits import InputFile
from auditor.audits.reading.columnar import MOST_ROWS, Problems, Table, table_of
from auditor.audits.reading.delimited import Wanted, columns_to_read
from auditor.audits.reading.text import first_line
from auditor.errors import InputError


def parquet(file: InputFile, wanted: Wanted, problems: Problems) -> Table:
    """Read a Parquet file; its rows count from 1.

    Raises
    ------
    InputError
        If the file as a whole cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file.path) as opened:
            if not 0 <= opened.metadata.num_rows <= MOST_ROWS:
                raise InputError(f"The file says that it has {opened.metadata.num_rows:,} rows", file=file.name)
            names = tuple(str(name) for name in opened.schema_arrow.names)
            used = [names[number] for number in columns_to_read(file, names, wanted)]
            read = opened.read(columns=used, use_threads=False)
            n_rows = opened.metadata.num_rows if not used else read.num_rows
        arrays = {name: read[name] for name in used}
        return table_of(file.name, "Parquet", arrays, np.arange(1, n_rows + 1), problems, names=names)
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise InputError(f"The Parquet file is damaged: {first_line(error)}", file=file.name) from error
