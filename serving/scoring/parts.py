"""What is finished of a run: one file a chunk, so that a killed run goes on where it was."""

from __future__ import annotations

import csv
import json
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet

from serving.private import private

_STATE = "run.json"
_REJECT_COLUMNS = ("row", "field", "code", "message")

#: Compression of all Parquet that is written: half the size of the usual one, at the same time.
COMPRESSION: Mapping[str, Any] = {"compression": "zstd", "compression_level": 1}


class RunRefused(ValueError):
    """A run that cannot begin or go on; the message says what to do."""


@dataclass(frozen=True)
class Parts:
    """The folder of a run, beside its output.

    A part is written under another name, forced to disk, and renamed; its rejected rows come before it. So a part
    that is there is whole. All of it is for its owner alone.
    """

    out: Path

    @property
    def folder(self) -> Path:
        """Where the parts are."""
        return self.out.with_name(f"{self.out.name}.parts")

    @property
    def rejects(self) -> Path:
        """Where rejected rows are listed once all is done."""
        return self.out.with_name(f"{self.out.stem}.rejects.csv")

    def begin(self, identity: Mapping[str, Any], resume: bool) -> None:
        """Make the folder, or go on in it.

        Parameters
        ----------
        identity
            Everything on which the output depends.

        Raises
        ------
        RunRefused
            When there is an unfinished run and `resume` was not asked for, or it was of something else.
        """
        state = self.folder / _STATE
        if not self.folder.exists():
            self.folder.mkdir(0o700, parents=True)
            _write(state, json.dumps(identity, indent=1, sort_keys=True))
            return
        if not resume:
            raise RunRefused(
                f"{self.folder} holds an unfinished run. Give --resume to go on with it, or delete the folder."
            )
        if not state.is_file():
            if self.finished():
                raise RunRefused(f"{self.folder} does not say of which run it is. Delete it and start again.")
            _write(state, json.dumps(identity, indent=1, sort_keys=True))  # ended before it had begun
            return
        before: Mapping[str, Any] = json.loads(state.read_text("utf-8"))
        differing = sorted(name for name in {*before, *identity} if before.get(name) != identity.get(name))
        if differing:
            raise RunRefused(
                f"{self.folder} is of another run; what differs: {', '.join(differing)}. "
                "Give what was given then, or delete the folder and start again."
            )

    def finished(self) -> set[int]:
        """Positions of the chunks whose part is there."""
        return {int(path.stem.removeprefix("part-")) for path in self.folder.glob("part-*.parquet")}

    def write(self, index: int, table: pa.Table, rejected: Iterable[tuple[int, str, str, str]]) -> None:
        """Keep what a chunk became."""
        rows = list(rejected)
        if rows:
            partial = self._partial(self._rejects_of(index))
            with open(partial, "w", encoding="utf-8", newline="", opener=private) as file:
                csv.writer(file).writerows(rows)
                _sync(file)
            partial.replace(self._rejects_of(index))
        partial = self._partial(self._part(index))
        with open(partial, "wb", opener=private) as file:
            parquet.write_table(table, file, **COMPRESSION)
            _sync(file)
        partial.replace(self._part(index))

    def finish(self, chunks: int, metadata: Mapping[bytes, bytes]) -> tuple[int, int]:
        """Put the parts together; the output appears at once and whole, and the folder goes.

        Returns
        -------
        tuple of int
            Rows of the output, and problems of rejected rows.
        """
        partial = self.folder / "whole.parquet.partial"
        written = 0
        writer: parquet.ParquetWriter | None = None
        with open(partial, "wb", opener=private) as file:
            for index in range(chunks):
                table = parquet.read_table(self._part(index), memory_map=True)
                if writer is None:
                    schema = table.schema.with_metadata({**(table.schema.metadata or {}), **metadata})
                    writer = parquet.ParquetWriter(file, schema, **COMPRESSION)
                if table.num_rows:
                    writer.write_table(table.replace_schema_metadata(schema.metadata))
                written += table.num_rows
            if writer is not None:
                writer.close()
            _sync(file)
        problems = self._finish_rejects(chunks)
        partial.replace(self.out)
        _sync_folder(self.out.parent)
        shutil.rmtree(self.folder)
        return written, problems

    def _finish_rejects(self, chunks: int) -> int:
        lists = [path for i in range(chunks) if (path := self._rejects_of(i)).is_file()]
        if not lists:
            self.rejects.unlink(missing_ok=True)
            return 0
        problems = 0
        partial = self.folder / "rejects.csv.partial"
        with open(partial, "w", encoding="utf-8", newline="", opener=private) as file:
            csv.writer(file).writerow(_REJECT_COLUMNS)
            for path in lists:
                text = path.read_text("utf-8")
                problems += text.count("\n")
                file.write(text)
            _sync(file)
        partial.replace(self.rejects)
        return problems

    def _part(self, index: int) -> Path:
        return self.folder / f"part-{index:06d}.parquet"

    def _rejects_of(self, index: int) -> Path:
        return self.folder / f"part-{index:06d}.csv"

    @staticmethod
    def _partial(path: Path) -> Path:
        return path.with_name(f"{path.name}.partial")


def _write(path: Path, text: str) -> None:
    partial = path.with_name(f"{path.name}.partial")
    with open(partial, "w", encoding="utf-8", opener=private) as file:
        file.write(text)
        _sync(file)
    partial.replace(path)


def _sync(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
