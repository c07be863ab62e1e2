"""Objects that are compiled as one: put in line, made again when need be, and their initcalls in order."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

import pytest

from liblinux._errors import BuildError
from liblinux.builder._initcalls import restore_order
from liblinux.builder._progress import SilentProgress
from liblinux.builder._run import output_of, run
from liblinux.builder._together import Members, compile_together

# Two without code, of which the second calls the first, before and after others.
PARTS = ("b", "d")
SOURCES = {
    "a": "int start(void); extern int d(void); int start(void) { return d(); } INITCALL(a, start, 4)",
    "b": "int b(void) { return 40; } INITCALL(b, b, 4) INITCALL(b, late, 4s)",
    "c": "int c(void) { return 1; } INITCALL(c, c, 4)",
    "d": "extern int b(void); int d(void) { return b() + 2; } INITCALL(d, d, 4)",
}
# As in include/linux/init.h.
HEADER = """
#define INITCALL(module, function, level) \\
    static __attribute__((used)) int module##_##function##_##level(void) { return __COUNTER__; } \\
    asm(".section .initcall" #level ".init, \\"a\\"\\n" \\
        "__initcall__kmod_" #module "__1_2_" #function #level ":\\n" \\
        ".long " #module "_" #function "_" #level " - .\\n.previous");
"""
FLAGS = ("-O2", "-fPIE", "-fvisibility=hidden", "-ffunction-sections")
WITHOUT_CODE = ("-flto", "-fno-fat-lto-objects")
SCRIPT = """
ENTRY(start)
PHDRS { all PT_LOAD FLAGS(7); }
SECTIONS {
    .text 0x10000 : { *(.text .text.*) } :all
    .table : { *(.initcall4.init) *(.initcall4s.init) } :all
    .rest : { *(.data*) *(.bss*) *(.got*) *(.dyn*) *(.hash) *(.gnu*) *(.rela*) } :all
    /DISCARD/ : { *(.comment) *(.note*) *(.eh_frame*) *(.interp) }
}
"""
LINK = ("-pie", "--no-dynamic-linker", "-T", "script")


def compile_one(directory: Path, name: str, text: str = "") -> None:
    """An object, with the command noted down as make does it."""
    source = directory / f"{name}.c"
    source.write_text(HEADER + (text or SOURCES[name]))
    command = ["gcc", *FLAGS, *(WITHOUT_CODE if name in PARTS else ()), f"-D__KBUILD_MODNAME=kmod_{name}"]
    run([*command, "-c", "-o", f"{name}.o", source.name], directory, directory / "log")
    (directory / f".{name}.o.cmd").write_text(
        f"savedcmd_{name}.o := {' '.join(command)} -c -o {name}.o {source.name}\n"
    )


@pytest.fixture
def objects(tmp_path: Path) -> Path:
    listed = tmp_path / "tree/arch/lib/profile/objects"
    listed.parent.mkdir(parents=True)
    listed.write_text("".join(f"{name}.o\n" for name in PARTS))
    (tmp_path / "script").write_text(SCRIPT)
    for name in SOURCES:
        compile_one(tmp_path, name)
    run(["ar", "cDPrST", "vmlinux.a", "a.o", "b.o", "c.o"], tmp_path, tmp_path / "log")
    return tmp_path


def link(objects: Path) -> Members:
    members = Members.of(objects, ("vmlinux.a", "d.o"), ())
    compile_together(members, LINK, "script", objects / "log", SilentProgress())
    run(["ld", "-o", "whole", *members.linked(), *LINK], objects, objects / "log")
    return members


def table(objects: Path) -> list[str]:
    """The functions of the table, in order."""
    run(["objcopy", "-O", "binary", "--only-section=.table", "whole", "table"], objects, objects / "log")
    lines = [line.split() for line in output_of("nm", "-n", "whole", directory=objects)]
    start = next(int(address, 16) for address, _, name in lines if name.startswith("__initcall__"))
    functions = {int(address, 16): name for address, kind, name in lines if kind in "tT"}
    content = (objects / "table").read_bytes()
    distances = [entry for (entry,) in struct.iter_unpack("<i", content)]
    return [functions[start + 4 * at + distance] for at, distance in enumerate(distances)]


def test_functions_of_other_files_are_put_in_line(objects: Path) -> None:
    members = link(objects)
    assert members.parts == ["b.o", "d.o"]
    code = "\n".join(output_of("objdump", "-d", "--no-show-raw-insn", "whole", directory=objects))
    assert "$0x2a" in code.partition("<d>:")[2].partition("ret")[0]  # 40 + 2
    assert "<b>:" not in code
    assert (objects / "liblinux.together.o").exists()
    assert not list(objects.glob("liblinux.scrap*"))


def test_initcalls_are_in_the_order_of_the_objects(objects: Path) -> None:
    members = link(objects)
    assert table(objects) == ["a_start_4", "c_c_4", "b_b_4", "d_d_4", "b_late_4s"]
    restore_order(objects / "whole", members)
    assert table(objects) == ["a_start_4", "b_b_4", "c_c_4", "d_d_4", "b_late_4s"]


def test_nobody_knows_of_what_object_an_initcall_is(objects: Path) -> None:
    command = objects / ".d.o.cmd"
    command.write_text(command.read_text().replace("kmod_d", "kmod_b"))
    with pytest.raises(BuildError, match="__initcall__kmod_"):
        restore_order(objects / "whole", link(objects))


def test_it_is_made_again_when_a_part_or_what_others_say_of_it_changes(objects: Path) -> None:
    made = objects / "liblinux.together.o"

    def again() -> bool:
        before = made.stat().st_mtime_ns
        link(objects)
        return made.stat().st_mtime_ns != before

    link(objects)
    assert not again()
    compile_one(objects, "c", "int unrelated(void); int unrelated(void) { return 3; }")
    assert not again()
    compile_one(objects, "c", "extern int b(void); int c(void); int c(void) { return b(); }")
    assert again()  # which has to be there for others now
    compile_one(objects, "d", "extern int b(void); int d(void) { return b() + 3; }")
    assert again()


def test_what_is_wrong_is_said(objects: Path) -> None:
    compile_one(objects, "d", "extern int missing(void); int d(void) { return missing(); }")
    with pytest.raises(BuildError, match="missing"):
        link(objects)
    assert not (objects / "liblinux.together.o").exists()
    assert not list(objects.glob("liblinux.scrap*"))


def test_a_kernel_without_such_objects_is_linked_as_it_is(tmp_path: Path, objects: Path) -> None:
    (objects / "tree/arch/lib/profile/objects").write_text("")
    for name in PARTS:
        subprocess.run(["gcc", *FLAGS, "-c", "-o", f"{name}.o", f"{name}.c"], cwd=tmp_path, check=True)
    members = link(objects)
    before = (objects / "whole").read_bytes()
    restore_order(objects / "whole", members)
    assert members.parts == []
    assert (objects / "whole").read_bytes() == before
    assert table(objects) == ["a_start_4", "b_b_4", "c_c_4", "d_d_4", "b_late_4s"]


def test_weak_functions_that_are_defined_elsewhere_are_refused(objects: Path) -> None:
    """GCC takes the weak one for the one that counts."""
    compile_one(
        objects,
        "d",
        "extern int b(void); __attribute__((weak)) int c(void) { return 5; } int d(void) { return b() + c(); }",
    )
    with pytest.raises(BuildError, match=r"c by c\.o"):
        link(objects)
