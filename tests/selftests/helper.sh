# What some of Debian's versions of the tests call and do not load, as upstream's do: their bash reads this before
# them (BASH_ENV). Their HOME is the directory of the tests.

. "$HOME/net_helper.sh"

# Try a command until it succeeds: every tenth of a second, for so many seconds. 6.12 has it in lib.sh, 6.1 nowhere.
slowwait()
{
	local until=$((SECONDS + $1))

	shift
	until "$@"; do
		[ "$SECONDS" -lt "$until" ] || return 1
		sleep 0.1
	done
}
