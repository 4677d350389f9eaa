// A generated shop: customers, products, sessions, orders, deliveries and coupons over shared latent traits, with labels drawn from known
// probabilities, so that what a model can reach is known before one is trained.
#pragma once
#include <cstdint>
#include <filesystem>

#include <chorale/core/base/log.hpp>

namespace chorale {

struct ShopOptions {
  std::int64_t customers = 4000, products = 500, sessions = 20000;
  std::uint64_t seed = 7;
  std::filesystem::path out;
  bool overwrite = false;
};

/// Writes customers.csv, products.csv, sessions.csv, orders.csv, deliveries.csv, coupons.csv and truth.json into `out`, all or none: the
/// folder is filled under another name and renamed. Equal options give equal bytes on every run.
/// Throws UsageError for a size below 1 or a folder that is not empty, IoError when writing fails.
void generate_shop(const ShopOptions& options, Log& log);

}  // namespace chorale
