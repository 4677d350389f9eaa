// The starting values of parameters: drawn in f64 from (seed, name), so that they depend neither on ranks nor on the order of construction.
// Sources: Glorot & Bengio, AISTATS 2010; He et al., ICCV 2015; "torch" is torch.nn.Linear's default, U(-1/sqrt(fan_in), 1/sqrt(fan_in)).
#include <cmath>

#include <chorale/core/base/random.hpp>
#include <chorale/core/nn/flat_params.hpp>

namespace chorale {

namespace {

std::uint64_t name_key(const std::string& name) {  // FNV-1a
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  return hash;
}

struct Distribution {
  double bound = 0, deviation = 0, constant = 0;
};

Distribution distribution_of(const Init& init, const std::string& scheme) {
  const double in = static_cast<double>(init.fan_in), both = in + static_cast<double>(init.fan_out);
  if (init.role == Init::Role::zeros) return {};
  if (init.role == Init::Role::ones) return {.constant = 1};
  if (init.role == Init::Role::normal) return {.deviation = 1};
  if (scheme == "torch") return {.bound = 1 / std::sqrt(in)};
  if (init.role == Init::Role::bias) return {};
  if (scheme == "glorot_uniform") return {.bound = std::sqrt(6 / both)};
  if (scheme == "glorot_normal") return {.deviation = std::sqrt(2 / both)};
  if (scheme == "he_uniform") return {.bound = std::sqrt(6 / in)};
  if (scheme == "he_normal") return {.deviation = std::sqrt(2 / in)};
  throw UsageError("initialisation '" + scheme + "' is unknown; use torch, glorot_uniform, glorot_normal, he_uniform or he_normal");
}

}  // namespace

void FlatParams::initialise(std::uint64_t seed, const std::string& scheme) {
  for (const Entry& e : entries_) {
    const Distribution d = distribution_of(e.parameter->init(), scheme);
    const double gain = e.parameter->init().gain;
    const std::string& drawn_as = e.parameter->drawn_as();
    RandomStream random(mix(mix(seed, 0x696E6974u), name_key(drawn_as.empty() ? e.name : drawn_as)));
    with_float_type(dtype_, [&]<class T>() {
      for (T& value : values_.part(e.first, e.count).span<T>()) {
        if (d.bound > 0)
          value = static_cast<T>(gain * d.bound * (2 * random.uniform() - 1));
        else
          value = static_cast<T>(d.deviation > 0 ? gain * d.deviation * random.normal() : gain * d.constant);
      }
    });
  }
}

}  // namespace chorale
