#compdef tidemill
# Completion of tidemill for zsh: eval "$(tidemill completion zsh)"
# or as a file _tidemill in a folder of $fpath.

_tidemill() {
  local line word about
  local -a plain plain_shown open open_shown
  for line in "${(@f)$("${words[1]}" completion words -- "${(@)words[1,CURRENT]}" 2>/dev/null)}"; do
    case $line in
      '') ;;
      :graphs) _files -g '*.lua(-.)' ;;
      :files) _files ;;
      :folders) _files -/ ;;
      *)
        word=${line%%$'\t'*}
        about=${line#*$'\t'}
        if [[ $word == *[=:] ]]; then
          open+=("$word")
          open_shown+=("$word${about:+  $about}")
        else
          plain+=("$word")
          plain_shown+=("$word${about:+  $about}")
        fi ;;
    esac
  done
  (( $#plain )) && compadd -l -d plain_shown -a plain
  (( $#open )) && compadd -l -S '' -d open_shown -a open
  return 0
}

if [[ $funcstack[1] == _tidemill ]]; then
  _tidemill "$@"
elif (( $+functions[compdef] )); then
  compdef _tidemill tidemill
fi
