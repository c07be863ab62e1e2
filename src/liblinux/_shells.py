"""Completion in bash, zsh and fish: click's, with scripts of our own.

Those of click lose words with a colon in bash, which breaks words there, names with
a comma in fish, and put a blank behind a directory in zsh. Here the shells hand over
the line as it is typed; nothing is asked on the terminal while a shell completes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from click.shell_completion import (
    BashComplete,
    FishComplete,
    ZshComplete,
    add_completion_class,
    get_completion_class,
    split_arg_string,
)

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

__all__ = ["completion_script"]

_BASH = """\
%(complete_func)s() {
    local type value
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
        dir) compopt -o dirnames ;;
        file) compopt -o default ;;
        plain)
            [[ $value == */ ]] && compopt -o nospace
            COMPREPLY+=("$(printf %%q "$value")")
            ;;
        esac
    done < <(COMP_LINE="${COMP_LINE:0:$COMP_POINT}" %(complete_var)s=bash_complete "$1" 2>/dev/null </dev/null)
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""

_ZSH = """\
#compdef %(prog_name)s
%(complete_func)s() {
    local type value help
    local -a plain directories described
    while IFS= read -r type && IFS= read -r value && IFS= read -r help; do
        case $type in
        dir) _path_files -/ ;;
        file) _path_files -f ;;
        plain)
            if [[ $help != _ ]]; then described+=("$value:$help")
            elif [[ $value == */ ]]; then directories+=("$value")
            else plain+=("$value")
            fi ;;
        esac
    done < <(COMP_LINE="${(j: :)words[1,CURRENT]}" %(complete_var)s=zsh_complete %(prog_name)s 2>/dev/null </dev/null)
    (( $#described )) && _describe -V unsorted described -U
    (( $#directories )) && compadd -U -S '' -V unsorted -a directories
    (( $#plain )) && compadd -U -V unsorted -a plain
}
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then %(complete_func)s "$@"
else compdef %(complete_func)s %(prog_name)s
fi
"""

_FISH = """\
function %(complete_func)s
    COMP_LINE=(commandline -cp) %(complete_var)s=fish_complete %(prog_name)s 2>/dev/null </dev/null | while read -l line
        set -l parts (string split -m 1 , -- $line)
        switch $parts[1]
            case dir
                __fish_complete_directories $parts[2]
            case file
                __fish_complete_path $parts[2]
            case plain
                echo $parts[2]
        end
    end
end
complete --no-files --command %(prog_name)s --arguments "(%(complete_func)s)"
"""


def _words() -> tuple[list[str], str]:
    """The finished words of the line behind the name of the program, and the one that is being typed."""
    line = os.environ["COMP_LINE"]
    words = split_arg_string(line)
    if line[-1:].isspace() and not line.endswith("\\ "):
        return words[1:], ""
    return words[1:-1], words[-1] if len(words) > 1 else ""


class _Bash(BashComplete):
    source_template = _BASH

    @staticmethod
    def _check_version() -> None:
        """Click starts a bash for it; every one since 2016 is new enough."""

    def get_completion_args(self) -> tuple[list[str], str]:
        arguments, incomplete = _words()
        # bash replaces what is behind the last colon, so only that is wanted.
        self._before = incomplete.rpartition(":")[0]
        return arguments, incomplete

    def format_completion(self, item: CompletionItem[Any]) -> str:
        value = str(item.value)
        if item.type == "plain" and self._before and value.startswith(self._before + ":"):
            value = value[len(self._before) + 1 :]
        return f"{item.type},{value}"


class _Zsh(ZshComplete):
    source_template = _ZSH

    def get_completion_args(self) -> tuple[list[str], str]:
        return _words()


class _Fish(FishComplete):
    source_template = _FISH

    def get_completion_args(self) -> tuple[list[str], str]:
        return _words()


for _class in (_Bash, _Zsh, _Fish):
    add_completion_class(_class)


def completion_script(cli: Any, shell: str) -> str:
    """The script that makes `shell` ("bash", "zsh" or "fish") complete the command."""
    kind = get_completion_class(shell)
    assert kind is not None
    return kind(cli, {}, "liblinux", "_LIBLINUX_COMPLETE").source()
