// The numbers that other libraries gave, as their scripts wrote them beside this file.
#pragma once
#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

namespace chorale {

/// name: of a file in tests/golden.
inline nlohmann::json golden(const std::string& name) {
  std::ifstream in(std::string(CHORALE_GOLDEN) + "/" + name);
  if (!in) throw std::runtime_error("tests/golden/" + name + " cannot be read");
  return nlohmann::json::parse(in);
}

}  // namespace chorale
