"""A folder that a person already unpacked, read like an archive: in place, never changed, never linked."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator

from aigiqa_cli.archives import member_names
from aigiqa_cli.archives.contract import MAX_MEMBERS, Chunks, Consume, Member, Refusal
from aigiqa_cli.archives.member_names import MAX_DEPTH
from aigiqa_cli.archives.source import Source

BLOCK = 1 << 20


class FolderFormat:
    """A folder. Names that cannot become files are skipped: nobody packed this folder."""

    def __init__(self, source: Source) -> None:
        self.descriptor = source.opened.descriptors[0]
        self.paths: list[str] = []

    def members(self) -> list[Member]:
        files: list[Member] = []
        for path, size in self._walk():
            try:
                name = member_names.judge(path)
            except Refusal:
                continue
            files.append(Member(len(self.paths), name, size))
            self.paths.append(path)
            if len(files) > MAX_MEMBERS:
                raise Refusal(f"more than {MAX_MEMBERS} files", "A14")
        return files

    def stream(self, wanted: Iterable[Member], consume: Consume) -> None:
        for member in wanted:
            descriptor = os.open(self.paths[member.number], os.O_RDONLY | os.O_NONBLOCK, dir_fd=self.descriptor)
            try:
                consume(member, self._chunks(member, descriptor))
            finally:
                os.close(descriptor)

    def _walk(self) -> Iterator[tuple[str, int]]:
        for folder, folders, files, handle in os.fwalk(".", dir_fd=self.descriptor):
            if folder.count("/") >= MAX_DEPTH:
                del folders[:]  # deeper names are never taken, and each level holds a handle
            for name in sorted(files):
                try:
                    status = os.stat(name, dir_fd=handle)
                except FileNotFoundError:
                    continue
                if stat.S_ISREG(status.st_mode):
                    yield os.path.normpath(os.path.join(folder, name)), status.st_size

    def _chunks(self, member: Member, descriptor: int) -> Chunks:
        produced = 0
        while chunk := os.read(descriptor, BLOCK):
            produced += len(chunk)
            if produced > member.bytes:
                break
            yield chunk
        if produced != member.bytes:
            raise Refusal(f"the file {member.name!r} changed while it was read", "A12")


class DownloadedFolder(FolderFormat):
    """A folder that we have downloaded ourselves: nobody else uses its files, and nothing changes them any more, so
    a second name for the same bytes is as good as a copy, and costs no second writing."""

    def link(self, member: Member, folder: int, name: str) -> bool:
        """Give the member the name in the open `folder`; False where the disk has no such links."""
        try:
            os.link(
                self.paths[member.number], name, src_dir_fd=self.descriptor, dst_dir_fd=folder, follow_symlinks=False
            )
        except FileExistsError:
            raise
        except OSError:
            return False
        return True
