#include <chorale/core/base/build_id.hpp>

#include <link.h>

#include <cstring>
#include <string_view>

namespace chorale {

namespace {

constexpr std::size_t aligned(std::size_t bytes) { return (bytes + 3) & ~std::size_t{3}; }

/// The GNU build id in one segment of notes (elf(5)); empty when there is none.
std::string id_in_notes(const char* at, std::size_t bytes) {
  for (const char* end = at + bytes; at + sizeof(ElfW(Nhdr)) <= end;) {
    ElfW(Nhdr) note;
    std::memcpy(&note, at, sizeof note);
    const char* name = at + sizeof note;
    const char* id = name + aligned(note.n_namesz);
    if (note.n_type == NT_GNU_BUILD_ID && note.n_namesz == 4 && std::memcmp(name, "GNU", 4) == 0) {
      std::string out;
      for (const char c : std::string_view(id, note.n_descsz)) {
        const auto byte = static_cast<unsigned char>(c);
        out += "0123456789abcdef"[byte >> 4];
        out += "0123456789abcdef"[byte & 15];
      }
      return out;
    }
    at = id + aligned(note.n_descsz);
  }
  return "";
}

/// The program has the empty name; of the libraries only ours counts.
int collect(dl_phdr_info* object, std::size_t, void* out) {
  const std::string_view name = object->dlpi_name;
  if (!name.empty() && name.find("libchorale") == std::string_view::npos) return 0;
  std::string id;
  for (int i = 0; i < object->dlpi_phnum && id.empty(); ++i) {
    const ElfW(Phdr)& segment = object->dlpi_phdr[i];
    if (segment.p_type == PT_NOTE) id = id_in_notes(reinterpret_cast<const char*>(object->dlpi_addr + segment.p_vaddr), segment.p_memsz);
  }
  auto& text = *static_cast<std::string*>(out);
  text += (text.empty() ? "" : " ") + (id.empty() ? "unknown" : id);
  return 0;
}

}  // namespace

std::string build_id() {
  std::string out;
  ::dl_iterate_phdr(collect, &out);
  return out;
}

}  // namespace chorale
