// chorale completion bash: commands, what may follow them, flags, and the values of a flag that has few. All of it is asked of
// `chorale help`, so an option is described in one place.
#include <cstdio>

#include <chorale/core/base/error.hpp>
#include <chorale/launcher/arguments.hpp>
#include <chorale/launcher/command.hpp>

namespace chorale {

namespace {

constexpr const char* kScript = R"(_chorale_flags() {
  "${COMP_WORDS[0]}" help "${COMP_WORDS[1]}" 2>/dev/null | sed -nE 's/^  (-n, )?(--[a-z0-9_.-]+)(, (--[a-z0-9_.-]+))? .*/\2 \4/p'
}
_chorale_values() {
  "${COMP_WORDS[0]}" help "${COMP_WORDS[1]}" 2>/dev/null | awk -v flag="$1" '
    /^  -/ { hit = index(" " $0, " " flag " ") || index(" " $0, " " flag ",") }
    hit && / \| / && !/^  -/ { sub(/.*; /, ""); gsub(/\|/, " "); print; exit }'
}
_chorale() {
  local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} words=
  if [ "$COMP_CWORD" = 1 ]; then
    words="@commands@"
  elif [[ $cur == -* ]]; then
    words=$(_chorale_flags)
  elif [[ $prev == --* ]]; then
    words=$(_chorale_values "$prev")
  elif [ "$COMP_CWORD" = 2 ]; then
    case $prev in
@cases@    esac
  fi
  if [ -n "$words" ]; then COMPREPLY=($(compgen -W "$words" -- "$cur")); else COMPREPLY=($(compgen -f -- "$cur")); fi
}
complete -o filenames -F _chorale chorale
)";

void replace(std::string& text, const std::string& mark, const std::string& by) { text.replace(text.find(mark), mark.size(), by); }

}  // namespace

int run_completion(std::span<const std::string> arguments) {
  OptionTable none;
  const std::vector<std::string> rest = read_flags(arguments, none, 1);
  if (rest.empty() || rest[0] != "bash") throw UsageError("completion knows one shell: chorale completion bash");
  std::string names, cases;
  for (const Command& command : commands()) {
    names += (names.empty() ? "" : " ") + command.name;
    if (!command.next.empty()) cases += "      " + command.name + ") words=\"" + command.next + "\" ;;\n";
  }
  std::string script = kScript;
  replace(script, "@commands@", names);
  replace(script, "@cases@", cases);
  std::fputs(script.c_str(), stdout);
  return 0;
}

}  // namespace chorale
