"""What a 64-bit little-endian ELF program says of itself: its segments, its sections, its hardening."""

import dataclasses
import struct

MACHINES = {62: "x86_64", 183: "aarch64"}
TYPES = {2: "EXEC", 3: "DYN"}
PT_LOAD, PT_DYNAMIC, PT_INTERP, PT_GNU_STACK, PT_GNU_RELRO = 1, 2, 3, 0x6474E551, 0x6474E552
DT_NEEDED, DT_PLTRELSZ, DT_TEXTREL, DT_BIND_NOW, DT_FLAGS, DT_FLAGS_1 = 1, 2, 22, 24, 30, 0x6FFFFFFB
DF_TEXTREL, DF_BIND_NOW = 4, 8
DF_1_NOW, DF_1_PIE = 1, 0x08000000
EXECUTABLE, WRITABLE = 1, 2


class NotAProgram(Exception):
    """The file is no ELF program of a kind that is read here."""


@dataclasses.dataclass
class Segment:
    kind: int
    flags: int
    offset: int
    size: int
    position: int  # of its header in the file


@dataclasses.dataclass
class Section:
    name: str
    offset: int
    size: int


class Elf:
    def __init__(self, content):
        self.content = content
        if content[:6] != b"\x7fELF\x02\x01" or len(content) < 64:
            raise NotAProgram("not a 64-bit little-endian ELF program")
        try:
            head = struct.unpack_from("<HHIQQQIHHHHHH", content, 16)
            self.type = TYPES.get(head[0], str(head[0]))
            self.machine = MACHINES.get(head[1], str(head[1]))
            self.segments = [self._segment(head[4] + n * head[8]) for n in range(head[9])]
            self.sections = self._sections(head[5], head[10], head[11], head[12])
            self.dynamic = self._dynamic()
        except struct.error as error:
            raise NotAProgram(f"an ELF program that is cut off: {error}") from error

    def _segment(self, at):
        kind, flags, offset, _, _, size, _, _ = struct.unpack_from("<IIQQQQQQ", self.content, at)
        return Segment(kind, flags, offset, size, at)

    def _sections(self, at, size, count, names):
        headers = [struct.unpack_from("<IIQQQQIIQQ", self.content, at + n * size) for n in range(count)]
        if not headers:
            return []
        texts = self.content[headers[names][4] : headers[names][4] + headers[names][5]]
        name = lambda start: texts[start : texts.index(b"\0", start)].decode()  # noqa: E731
        no_bits = 8
        return [Section(name(h[0]), h[4], 0 if h[1] == no_bits else h[5]) for h in headers]

    def _dynamic(self):
        """The entries of the dynamic segment, tag and value."""
        entries = []
        for segment in self.segments_of(PT_DYNAMIC):
            for at in range(segment.offset, segment.offset + segment.size, 16):
                tag, value = struct.unpack_from("<qQ", self.content, at)
                if tag == 0:
                    break
                entries.append((tag, value))
        return entries

    def segments_of(self, kind):
        return [segment for segment in self.segments if segment.kind == kind]

    def value(self, tag):
        return next((value for found, value in self.dynamic if found == tag), 0)

    def section(self, name):
        """The content of a section, or None."""
        found = next((section for section in self.sections if section.name == name), None)
        return found and self.content[found.offset : found.offset + found.size]

    def section_at(self, offset):
        holds = (s.name for s in self.sections if s.size and s.offset <= offset < s.offset + s.size)
        return next(holds, "the headers")

    def is_position_independent(self):
        return self.type == "DYN" and bool(self.value(DT_FLAGS_1) & DF_1_PIE)


def faults(program):
    """What a program lacks of: static, position-independent, full RELRO, no executable stack, nothing both
    writable and executable."""
    found = []
    if program.segments_of(PT_INTERP):
        found.append("not static: it names a dynamic loader")
    if any(tag == DT_NEEDED for tag, _ in program.dynamic):
        found.append("not static: it needs shared libraries")
    if not program.is_position_independent():
        found.append(f"not position-independent: its type is {program.type}")
    if not program.segments_of(PT_GNU_RELRO):
        found.append("no RELRO: relocated data stays writable")
    # Without symbols that are bound late there is nothing to bind now.
    now = program.value(DT_FLAGS) & DF_BIND_NOW or program.value(DT_FLAGS_1) & DF_1_NOW
    late = program.value(DT_PLTRELSZ) or not program.dynamic
    if late and not now and not any(tag == DT_BIND_NOW for tag, _ in program.dynamic):
        found.append("RELRO is not full: symbols are bound late")
    stacks = program.segments_of(PT_GNU_STACK)
    if not stacks or any(stack.flags & EXECUTABLE for stack in stacks):
        found.append("the stack is executable")
    both = EXECUTABLE | WRITABLE
    if any(load.flags & both == both for load in program.segments_of(PT_LOAD)):
        found.append("a segment is writable and executable")
    if any(tag == DT_TEXTREL for tag, _ in program.dynamic) or program.value(DT_FLAGS) & DF_TEXTREL:
        found.append("code is relocated: text relocations")
    return found
