# Completion of tidemill for bash: eval "$(tidemill completion bash)"

_tidemill() {
  local line=${COMP_LINE:0:COMP_POINT} words word out kept=() one
  read -a words <<<"$line"
  if [[ $line == *[[:blank:]] ]]; then words+=(''); fi
  word=${words[${#words[@]} - 1]}
  # bash replaces only what stands behind the last sign that breaks words; an @ is among what it replaces
  local before= signs=${COMP_WORDBREAKS//[!@:=]/}
  if [[ $signs && $word == *[$signs]* ]]; then before=${word%"${word##*[$signs]}"}; before=${before%@}; fi
  COMPREPLY=()
  while IFS= read -r out; do
    case $out in
      :graphs)
        compopt -o filenames
        while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -f -X '!*.lua' -- "${word#"$before"}"
          compgen -d -- "${word#"$before"}") ;;
      :files)
        compopt -o filenames
        while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -f -- "${word#"$before"}") ;;
      :folders)
        compopt -o filenames
        while IFS= read -r one; do COMPREPLY+=("$one"); done < <(compgen -d -- "${word#"$before"}") ;;
      *)
        out=${out%%$'\t'*}
        if [[ $out == *[=:] ]]; then compopt -o nospace; fi
        COMPREPLY+=("${out#"$before"}") ;;
    esac
  done < <("${words[0]}" completion words -- "${words[@]}" 2>/dev/null)
}
complete -F _tidemill tidemill
