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

# detnatctl with the socket of the line.
function __detnatctl_ask
    set -l words (commandline -opc)[2..-1]
    set -l socket
    set -l next 0
    for word in $words
        if test $next = 1
            set socket $word
            set next 0
        else if contains -- $word -s --socket
            set next 1
        else if string match -qr -- '^(-s|--socket=).' $word
            set socket (string replace -r -- '^(-s|--socket=)' '' $word)
        end
    end
    if set -q socket[1]
        detnatctl -s (string replace -r '^~/' "$HOME/" -- $socket) $argv 2>/dev/null
    else
        detnatctl $argv 2>/dev/null
    end
end

function __detnatctl_usage
    detnatctl help $argv[1..2] 2>/dev/null | string match -r '^Usage: .*\] '(string join ' ' -- $argv[1..2])' ?(.*)' | tail -n 1
end

# Names of strangers are among the candidates, of interfaces and files; fish quotes what it puts on the line.
# What may be typed next: commands, then the options, names and words of the usage.
function __detnatctl_complete
    set -l typed (__detnatctl_words)
    set -l commands (detnatctl --help 2>/dev/null | string match -rg '^  ([a-z][a-z ]*[a-z])   *')
    # After help come the words of a command, without its options.
    set -l helped 0
    if test "$typed[1]" = help
        set helped 1
        set -e typed[1]
    end
    switch (count $typed)
        case 0
            string split -f 1 ' ' -- $commands | sort -u
            return
        case 1
            string match -rg '^'(string escape --style=regex -- $typed[1])' (.*)' -- $commands
    end
    test $helped = 0; or return
    # No command has other letters; what is typed gets into patterns.
    string match -qr '^[a-z]+$' -- $typed[1]; or return
    set -l name $typed[1]
    if test (count $typed) -ge 2; and contains -- "$typed[1] $typed[2]" $commands
        set name $typed[1..2]
    end
    set -l usage (__detnatctl_usage $name)
    string match -arg -- '(?:^|[\[ ])(--?[a-z][a-z-]*)' "$usage"
    string match -arg -- '\[([a-z_]+=)' "$usage"
    string match -ar -- '[a-z]+(?:\|[a-z]+)+' "$usage" | string split '|'
    if string match -q -- '*STATE*' "$usage"
        detnatctl session list --help 2>/dev/null | sed -n '/^STATE is/,/^$/p' | string match -arg '\b([a-z]+(?:-[a-z]+)+)'
    end
    if test "$typed[1]" = pool
        __detnatctl_ask pool list | string match -rg '^([0-9.]+)'
    else if string match -q -- '*IN*' "$usage"; or string match -q -- '*PREFIX*' "$usage"
        __detnatctl_ask mapping list | tail -n +2 | string match -rag '(\S+/[0-9]+)'
    end
    if string match -q -- '*NAME|IN*' "$usage"
        __detnatctl_ask -j mapping list | string match -rag '"name": *"([^"]+)"'
    else if string match -q -- '*NAME|tcp*' "$usage"
        __detnatctl_ask -j portmap list | string match -rag '"name": *"([^"]+)"'
    else if string match -q -- '*NAME*' "$usage"
        ls /sys/class/net | LC_ALL=C string match -r '^[!-~]+$'
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
