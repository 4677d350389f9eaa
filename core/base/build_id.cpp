#include <chorale/core/base/build_id.hpp>

#include <elf.h>
#include <link.h>

#include <cstdint>
#include <cstring>
#include <string_view>

namespace chorale {

namespace {

struct Found {
  std::string program = "none", library = "none";
  bool first = true;  // the program comes first
};

bool holds(const dl_phdr_info& object, std::uintptr_t address) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const auto& part = object.dlpi_phdr[i];
    const std::uintptr_t begin = object.dlpi_addr + part.p_vaddr;
    if (part.p_type == PT_LOAD && address >= begin && address < begin + part.p_memsz) return true;
  }
  return false;
}

/// Notes lie one after the other: lengths of name and content, type, name, content, both padded to 4 bytes.
std::string id_in(std::string_view notes) {
  const auto padded = [](std::size_t n) { return (n + 3) / 4 * 4; };
  while (notes.size() >= sizeof(ElfW(Nhdr))) {
    ElfW(Nhdr) head;
    std::memcpy(&head, notes.data(), sizeof head);
    const std::size_t content = sizeof head + padded(head.n_namesz), next = content + padded(head.n_descsz);
    if (next > notes.size()) break;
    if (head.n_type == NT_GNU_BUILD_ID && notes.substr(sizeof head, 3) == "GNU") {
      std::string text;
      for (const char c : notes.substr(content, head.n_descsz)) {
        text += "0123456789abcdef"[static_cast<unsigned char>(c) >> 4];
        text += "0123456789abcdef"[static_cast<unsigned char>(c) & 15];
      }
      return text;
    }
    notes.remove_prefix(next);
  }
  return "";
}

int look(dl_phdr_info* object, std::size_t, void* data) {
  Found& found = *static_cast<Found*>(data);
  std::string id = "none";
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    const auto& part = object->dlpi_phdr[i];
    if (part.p_type != PT_NOTE) continue;
    const std::string here = id_in({reinterpret_cast<const char*>(object->dlpi_addr + part.p_vaddr), part.p_memsz});
    if (!here.empty()) id = here;
  }
  if (found.first) found.program = id;
  found.first = false;
  if (holds(*object, reinterpret_cast<std::uintptr_t>(&build_id))) found.library = id;
  return 0;
}

}  // namespace

std::string build_id() {
  Found found;
  dl_iterate_phdr(look, &found);
  return found.program + "-" + found.library;
}

}  // namespace chorale
