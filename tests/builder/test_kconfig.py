"""Fragments: parsing, merging for a version, and the check of what became of them."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from liblinux._errors import BuildError
from liblinux.builder import CONFIGURATIONS
from liblinux.builder._kconfig_tree import evaluate
from liblinux.builder.kconfig import Fragment, Setting, Wishes, merge, parse_config, parse_fragment, verify
from liblinux.builder.port import kernel_directory

names = st.from_regex(r"[A-Z][A-Z0-9_]{0,20}", fullmatch=True)
values = st.one_of(
    st.sampled_from(["y", "n"]),
    st.integers(-(2**31), 2**31).map(str),
    st.from_regex(r'"[a-z0-9 #/._-]{0,20}"', fullmatch=True),
)
versions = st.tuples(st.integers(2, 9), st.integers(0, 30))


@given(st.lists(st.tuples(names, values, st.one_of(st.none(), versions), st.one_of(st.none(), versions))))
def test_a_written_fragment_is_read_back(
    wishes: list[tuple[str, str, tuple[int, int] | None, tuple[int, int] | None]],
) -> None:
    lines = []
    for name, value, at_least, below in wishes:
        conditions = [f">={'.'.join(map(str, at_least))}"] if at_least else []
        conditions += [f"<{'.'.join(map(str, below))}"] if below else []
        when = f"  # {' '.join(conditions)}" if conditions else ""
        lines.append((f"# CONFIG_{name} is not set" if value == "n" else f"CONFIG_{name}={value}") + when)
    read = parse_fragment("\n".join(lines))
    assert [(s.name, s.value, s.at_least, s.below) for s in read] == wishes


@given(st.text())
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        parse_fragment(text)
    except BuildError as error:
        assert "cannot understand" in str(error) or "version condition" in str(error)


@given(st.dictionaries(names, values))
def test_what_kconfig_writes_is_read(config: dict[str, str]) -> None:
    wishes = Wishes({name: Setting(name, value, "here") for name, value in config.items()})
    assert parse_config(wishes.allconfig()) == {name: value for name, value in config.items() if value != "n"}


@pytest.mark.parametrize(
    "line", ["CONFIG_X", "CONFIG_X=", "X=y", "# CONFIG_X is on", "CONFIG_X=y # 6.6", "CONFIG_X=y #>6"]
)
def test_a_line_that_is_not_understood_is_named(line: str) -> None:
    with pytest.raises(BuildError, match=r"name\.config:2"):
        parse_fragment(f"\n{line}\n", "name.config")


def test_versions_decide_which_wishes_count() -> None:
    text = "CONFIG_NEW=y  # >=6.6\nCONFIG_OLD=y  # <6.2\nCONFIG_SOME=y  # >=6.2 <6.10\n# CONFIG_OFF is not set  # <6.2"
    fragment = Fragment("f", parse_fragment(text))
    assert set(merge([fragment], (6, 1, 192)).settings) == {"OLD", "OFF"}
    assert set(merge([fragment], (6, 2, 0)).settings) == {"SOME"}
    assert set(merge([fragment], (6, 6, 1)).settings) == {"NEW", "SOME"}
    assert set(merge([fragment], (6, 12, 117)).settings) == {"NEW"}


def test_a_later_fragment_overrules() -> None:
    first = Fragment("a", parse_fragment("CONFIG_X=y\nCONFIG_Y=1"))
    second = Fragment("b", parse_fragment("# CONFIG_X is not set"))
    merged = merge([first, second], (6, 12))
    assert merged.allconfig() == "# CONFIG_X is not set\nCONFIG_Y=1\n"


def test_an_option_can_be_selected_and_yet_not_compiled() -> None:
    merged = merge([Fragment("a", parse_fragment("# CONFIG_X is not compiled\nCONFIG_Y=y"))], (6, 12))
    assert merged.make_arguments() == ["CONFIG_X="]
    assert "CONFIG_X" not in merged.allconfig()


KCONFIG = """
mainmenu "Linux"
config NET
\tbool "Net"
menu "Drivers"
\tdepends on NET && !BARE
if BLOCK || OTHER
source "sub/Kconfig"
endif
endmenu
config PICKY
\tbool
\tselect FORCED if NET
\thelp
\t  depends on nothing at all
config FORCED
\tbool
"""
SUB = 'config DISK\n\tbool "Disk"\n\tdepends on ARCH_HAS_DISK\n\tdepends on SIZE = 4  # why\n'


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "sub").mkdir()
    (tmp_path / "Kconfig").write_text(KCONFIG)
    (tmp_path / "sub/Kconfig").write_text(SUB)
    return tmp_path


def check(text: str, config: str, tree: Path) -> None:
    verify(merge([Fragment("f", parse_fragment(text, "f"))], (6, 12)), parse_config(config), tree)


def test_honoured_wishes_pass(tree: Path) -> None:
    check('CONFIG_NET=y\n# CONFIG_DISK is not set\nCONFIG_S=""', "CONFIG_NET=y\n# CONFIG_DISK is not set\n", tree)


def test_a_lost_option_is_named_with_every_unmet_dependency(tree: Path) -> None:
    with pytest.raises(BuildError) as caught:
        check("CONFIG_DISK=y", "CONFIG_BARE=y\nCONFIG_SIZE=8\nCONFIG_OTHER=y", tree)
    assert "f:1: CONFIG_DISK should be y but is off: needs NET && !BARE; ARCH_HAS_DISK; SIZE = 4" in str(caught.value)


def test_an_unknown_option_is_called_unknown(tree: Path) -> None:
    with pytest.raises(BuildError, match="CONFIG_NEVER should be y but is off: this kernel has no such option"):
        check("CONFIG_NEVER=y", "", tree)


def test_an_option_that_came_on_is_named_with_its_selector(tree: Path) -> None:
    with pytest.raises(BuildError, match="CONFIG_FORCED should be off but is y: selected by PICKY"):
        check("# CONFIG_FORCED is not set", "CONFIG_FORCED=y\nCONFIG_PICKY=y\nCONFIG_NET=y", tree)


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("A", True),
        ("!A", False),
        ("B", False),
        ("A && B", False),
        ("B || A && !B", True),
        ("!(A && B)", True),
        ('S = "text"', True),
        ("N != 4", False),
        ("A=y", True),
        ("B=n", True),
        ("GCC_VERSION >= 120000", True),
        ("$(cc-option,-fsomething)", True),
    ],
)
def test_conditions(expression: str, value: bool) -> None:
    assert evaluate(expression, {"A": "y", "S": '"text"', "N": "4"}) is value


@pytest.mark.parametrize("version", [(6, 1), (6, 12)])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_the_fragments_of_the_project_are_read(configuration: str, version: tuple[int, ...]) -> None:
    directory = kernel_directory() / "config"
    fragments = [Fragment.load(directory / f"{name}.config") for name in CONFIGURATIONS[configuration]]
    merged = merge(fragments, version)
    assert merged.settings["EXT4_FS"].value == "y"
    assert "CONFIG_CRYPTO_JITTERENTROPY=" in merged.make_arguments()
    for fragment in fragments:
        wished = [(s.name, s.at_least, s.below) for s in fragment.settings]
        assert len(wished) == len(set(wished)), f"{fragment.name} asks for an option twice"
