# SPDX-License-Identifier: BSD-2-Clause
# Completion of detnatctl for fish. Commands, options and values come from its own help, so nothing is listed here.

function __detnatctl_words
    set -l words (commandline -opc)[2..-1]
    set -l skip 0
    for word in $words
        if test $skip = 1
            set skip 0
        else if contains -- $word -s --socket
            set skip 1
        else if not string match -q -- '-*' $word
            echo $word
        end
    end
end

function __detnatctl_usage
    detnatctl help $argv[1..2] 2>/dev/null | string match -r '^Usage: .*\] '(string join ' ' -- $argv[1..2])' ?(.*)' | tail -n 1
end

# What may be typed next: commands, then the options, names and words of the usage.
function __detnatctl_complete
    set -l typed (__detnatctl_words)
    set -l commands (detnatctl --help 2>/dev/null | string match -rg '^  ([a-z][a-z ]*[a-z])   *')
    switch (count $typed)
        case 0
            string split -f 1 ' ' -- $commands | sort -u
            return
        case 1
            string match -rg "^$typed[1] (.*)" -- $commands
    end
    set -l name $typed[1]
    if test (count $typed) -ge 2; and contains -- "$typed[1] $typed[2]" $commands
        set name $typed[1..2]
    end
    set -l usage (__detnatctl_usage $name)
    string match -arg -- '(?:^|[\[ ])(--?[a-z][a-z-]*)' "$usage"
    string match -arg -- '\[([a-z_]+=)' "$usage"
    string match -ar -- '[a-z]+(?:\|[a-z]+)+' "$usage" | string split '|'
    if test "$typed[1]" = pool
        detnatctl pool list 2>/dev/null | string match -rg '^([0-9.]+)'
    else if string match -q -- '*IN*' "$usage"; or string match -q -- '*PREFIX*' "$usage"
        detnatctl mapping list 2>/dev/null | tail -n +2 | string match -rag '(\S+/[0-9]+)'
    end
    if string match -q -- '*NAME|IN*' "$usage"
        detnatctl -j mapping list 2>/dev/null | string match -rag '"name": *"([^"]+)"'
    else if string match -q -- '*NAME|tcp*' "$usage"
        detnatctl -j portmap list 2>/dev/null | string match -rag '"name": *"([^"]+)"'
    else if string match -q -- '*NAME*' "$usage"
        ls /sys/class/net
    end
end

complete -c detnatctl -f -a '(__detnatctl_complete)'
complete -c detnatctl -s s -l socket -r -F -d 'control socket'
complete -c detnatctl -s j -l json -d 'print one JSON document'
complete -c detnatctl -s p -l pretty -d 'print indented JSON'
complete -c detnatctl -s b -l batch -r -F -d 'commands from a file'
complete -c detnatctl -l force -d 'with --batch: go on after an error'
complete -c detnatctl -s h -l help -d 'show the usage'
complete -c detnatctl -s V -l version -d 'print the version'
