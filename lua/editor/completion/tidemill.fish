# Completion of tidemill for fish: tidemill completion fish | source

function __tidemill_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    for line in ($words[1] completion words -- $words "$word" 2>/dev/null)
        switch $line
            case :graphs
                __fish_complete_suffix .lua
            case :files
                __fish_complete_path "$word"
            case :folders
                __fish_complete_directories "$word" ''
            case '*'
                echo $line
        end
    end
end
complete -c tidemill -f -a '(__tidemill_complete)'
