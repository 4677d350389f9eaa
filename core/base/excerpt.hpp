// Text of others inside our messages: short, whatever they wrote.
#pragma once
#include <string>
#include <string_view>

namespace chorale {

/// The text, or its first `most` bytes and "..." when it is longer; no UTF-8 character is cut in two. A NUL, which would end what() of an
/// error, is written as \0, and a line break, behind which it could say anything in our name, as \n.
std::string excerpt(std::string_view text, std::size_t most = 80);

}  // namespace chorale
