// The six tables of the shop as text, and the tasks drawn over them.
#pragma once
#include <string>
#include <vector>

#include <chorale/core/data/shop.hpp>
#include <chorale/core/data/shop_truth.hpp>

namespace chorale {

struct ShopTables {
  std::string customers, products, sessions, orders, deliveries, coupons;
  std::vector<ShopTask> tasks;  // purchase, churn, returned, late, redeemed
};

/// Draws everything from options.seed.
ShopTables draw_shop(const ShopOptions& options);

}  // namespace chorale
