"""The grammar of the script language, for lark (LALR, contextual lexer).

The contextual lexer is what makes the language regular: after `<` a word is a
set of TCP flags, after `FO` a number is a cookie, elsewhere it is a number.
Facts about the language: the documentation of packetdrill ("Syntax").
"""

from __future__ import annotations

__all__ = ["GRAMMAR", "TERMINALS"]

GRAMMAR = r"""
start: option* command? event+ command?

option: OPTION
command: COMMAND

event: time action

time: "+" _number                         -> relative
    | _number                             -> absolute
    | "*"                                 -> any_time
    | _number "~" _number                 -> absolute_range
    | "+" _number "~" "+" _number         -> relative_range
_number: INTEGER | FLOAT

?action: tcp | udp | icmp | call | command | code
code: CODE

// ---- packets

tcp: DIRECTION [ip] [ports] FLAGS sequence [ack] [window] [urgent] [options]
udp: DIRECTION [ip] "udp" [ports] "(" INTEGER ")"
icmp: DIRECTION [ip] "icmp" WORD [icmp_code] [mtu] [identifier] [quoted]

ip: "[" _ip_field ("," _ip_field)* "]" | "(" _ip_field ("," _ip_field)* ")"
_ip_field: ecn | tos | flow_label | ttl
ecn: ECN
tos: "tos" HEX
flow_label: "flowlabel" HEX
ttl: "ttl" INTEGER
ports: INTEGER DIRECTION INTEGER
sequence: INTEGER ":" INTEGER "(" INTEGER ")"
ack: "ack" INTEGER
window: "win" INTEGER
urgent: "urg" INTEGER
options: DIRECTION "..." DIRECTION        -> any_options
       | DIRECTION tcp_option ("," tcp_option)* DIRECTION
tcp_option: "nop"                         -> nop
          | "eol"                         -> eol
          | "mss" INTEGER                 -> mss
          | "wscale" INTEGER              -> wscale
          | "sackOK"                      -> sack_ok
          | "sack" (INTEGER ":" INTEGER)+ -> sack
          | "TS" "val" INTEGER "ecr" INTEGER -> timestamp
          | "FO" [_blob]                  -> fast_open
          | "FOEXP" [_blob]               -> fast_open_experimental
          | "md5" _blob                   -> md5
_blob: BLOB | WORD
icmp_code: WORD
mtu: "mtu" INTEGER
identifier: "id" INTEGER
quoted: "[" sequence "]"                  -> quoted_tcp
      | "[" "udp" "(" INTEGER ")" "]"     -> quoted_udp
      | "[" "raw" "(" INTEGER ")" "]"     -> quoted_raw

// ---- system calls

call: [duration] WORD "(" [_list] ")" "=" result [error] [NOTE]
duration: "..." _number
error: WORD
?result: simple ("|" simple)+             -> alternatives
       | simple
?simple: "..."                            -> ellipsis
       | INTEGER                          -> integer
       | HEX                              -> hexadecimal
       | WORD                             -> name

_list: expression ("," expression)*
?expression: atom ("|" atom)+             -> alternatives
           | atom
?atom: "..."                              -> ellipsis
     | INTEGER                            -> integer
     | HEX                                -> hexadecimal
     | WORD                               -> name
     | STRING+                            -> text
     | STRING "..."                       -> text_begins
     | "[" [_list] "]"                    -> array
     | "{" [_fields] "}"                  -> struct
     | apply
apply: WORD "(" [_list] ")"
_fields: field ("," field)*
field: expression                         -> plain_field
     | WORD "=" expression                -> named_field
     | apply "=" expression               -> counted_field

// ---- words

DIRECTION: "<" | ">"
OPTION: /--[A-Za-z0-9_]+(=("[^"\n]*"|`[^`]*`|[^\s"`])*)?/
COMMAND: /`(\\.|[^`\\])*`/s
CODE: /%\{.*?\}%/s
FLAGS: /[A-Z]+\.?|\.|-/
ECN.2: "noecn" | "ect01" | "ect0" | "ect1" | "ce"
NOTE: /\([^)\n]*\)/
BLOB.3: /[0-9a-fA-F]+(?![0-9A-Za-z_])/
HEX.3: /0x[0-9a-fA-F]+/
FLOAT.2: /-?[0-9]*\.[0-9]+/
INTEGER: /-?[0-9]+/
WORD: /[A-Za-z_][A-Za-z0-9_]*/
STRING: /"(\\.|[^"\\\n])*"/

%ignore /[ \t\r\n]+/
%ignore /\/\/[^\n]*/
%ignore /\/\*(.|\n)*?\*\//
"""

# What a terminal is called in an error message; the others are called as they are written.
TERMINALS = {
    "OPTION": "an option (--name=value)",
    "COMMAND": "a command (`...`)",
    "CODE": "code (%{ ... }%)",
    "DIRECTION": "a packet (< or >)",
    "FLAGS": "TCP flags (S, S., P., . ...)",
    "ECN": "noecn, ect0, ect1, ect01 or ce",
    "NOTE": "a note in parentheses",
    "BLOB": "hexadecimal digits",
    "HEX": "a hexadecimal number (0x...)",
    "FLOAT": "a number with a point",
    "INTEGER": "a number",
    "WORD": "a name",
    "STRING": "a string",
    "$END": "the end of the script",
}
