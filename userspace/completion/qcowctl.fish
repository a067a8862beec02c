# fish completion for qcowctl(8)
#
# The tool itself tells the words that may stand at the end of the line.

function __qcowctl_words
    set -l before (commandline -opc)
    set -l current (commandline -ct)
    set -l option (string match -r -- '^--[^=]*=' $current)
    set -l value (string replace -r -- '^--[^=]*=' '' $current)
    # The PATH of a user other than root may not lead to the tool.
    set -lx PATH $PATH /usr/local/sbin /usr/sbin /sbin
    qcowctl --complete $before[2..] "$current" 2>/dev/null | while read -l line
        switch $line
            case '<file>'
                __fish_complete_path "$value" | string replace -r -- '^' "$option"
            case '<folder>'
                __fish_complete_directories "$value" | string replace -r -- '^' "$option"
            case '*'
                echo "$option$line"
        end
    end
end

complete -c qcowctl -f -a '(__qcowctl_words)'
