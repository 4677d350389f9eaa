// IDX and NPY files, as they are and packed.
#include <array>

#include <chorale/core/base/error.hpp>
#include <chorale/core/io/stored_array.hpp>

#include "engine.hpp"
#include "input_file.hpp"

namespace chorale::fuzz {

namespace {

using namespace std::string_view_literals;
constexpr std::array<std::string_view, 14> kWords = {"\x93NUMPY\1\0"sv,
                                                     "\x93NUMPY\3\0"sv,
                                                     "{'descr': '<f4', "sv,
                                                     "'fortran_order': False, "sv,
                                                     "'shape': (2, 3), }"sv,
                                                     "True"sv,
                                                     "'|O'"sv,
                                                     "'|b1'"sv,
                                                     "'>i8'"sv,
                                                     "("sv,
                                                     ",)"sv,
                                                     "\0\0\x08\1"sv,
                                                     "\x1f\x8b\x08"sv,
                                                     " "sv};

}  // namespace

std::span<const std::string_view> words() { return kWords; }

std::string answer_to(std::string_view input) {
  const InputFile file(input);
  return answer_of<DataError>([&] {
    const StoredArray array = read_array(file.path());
    require(array.bytes.size() == static_cast<std::size_t>(array.shape.elements()) * size_bytes(array.type),
            "other bytes than the shape says");
    const bool is_packed = input.starts_with("\x1f\x8b");
    require(is_packed || array.bytes.size() < input.size(), "more bytes than the file has");
  });
}

}  // namespace chorale::fuzz
