#include <chorale/core/data/shop_tables.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>

#include <chorale/core/base/random.hpp>

namespace chorale {
namespace {

// Traits that no table shows in full. thrift drives purchase and churn, patience churn and returns; appeal drives
// purchase and price, quality ratings and returns. Returns use no trait of purchase: orders are chosen by purchase, and
// would otherwise shift the posterior. Whether a coupon is
// redeemed hangs on both traits of the customer, and its own table shows neither: others must. Deliveries use no trait at all: nothing that
// another table knows can help there.
struct Customer {
  double thrift, patience;
  int taste;
};
struct Product {
  double appeal, quality, price;
  int category;
};

constexpr std::array<const char*, 6> kCategory = {"audio", "books", "garden", "kitchen", "sport", "toys"};
constexpr std::array<const char*, 4> kDevice = {"app", "desktop", "mobile", "tablet"};
constexpr std::array<const char*, 5> kSource = {"ads", "direct", "email", "search", "social"};
constexpr std::array<const char*, 4> kChannel = {"app", "email", "letter", "till"};
constexpr std::array<const char*, 4> kCarrier = {"alba", "brise", "corso", "dorn"};
constexpr std::array<const char*, 4> kPayment = {"card", "invoice", "transfer", "wallet"};

template <class... T>
void append(std::string& text, const char* format, T... values) {
  char line[400];
  const int length = std::snprintf(line, sizeof line, format, values...);
  text.append(line, static_cast<std::size_t>(length));
}

std::string fixed(double value, int digits, bool missing = false) {
  if (missing) return "";
  char text[40];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

/// Day 0 is 2023-01-01, a Sunday; a year of 365 days.
std::string date(int day) {
  constexpr std::array<int, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  std::size_t month = 0;
  for (; day >= kDays[month]; ++month) day -= kDays[month];
  char text[40];
  std::snprintf(text, sizeof text, "2023-%02d-%02d", static_cast<int>(month) + 1, day + 1);
  return text;
}

double rounded(double value, double step) { return std::floor(value / step + 0.5) * step; }
/// What a column shows of a trait: the trait plus noise of the given deviation.
double reveal(double trait, double noise, RandomStream& draw) { return rounded(trait + noise * draw.normal(), 0.001); }

/// Logit of an outcome: `seen` from the columns, plus weight * trait of which a column shows trait + noise, plus what is
/// hidden. Gives the true logit's probability and the posterior's: trait | reveal is N(r / (1 + n^2), n^2 / (1 + n^2)).
struct Trait {
  double weight, value, shown, noise;
  bool visible;
  ShopTrait kind = ShopTrait::none;  // known to other tables too, about the same customer
};
void draw_label(ShopTask& task, std::size_t customer, double seen, std::initializer_list<Trait> traits, RandomStream& draw) {
  double truth = seen, mean = seen, variance = 0;
  ShopRow row{.customer = customer, .seen = seen, .traits = {}};
  for (const Trait& t : traits) {
    const double n2 = t.noise * t.noise;
    truth += t.weight * t.value;
    if (t.visible) mean += t.weight * t.shown / (1 + n2);
    variance += t.weight * t.weight * (t.visible ? n2 / (1 + n2) : 1);
    const Evidence shown = t.visible ? Evidence{t.shown / n2, 1 / n2} : Evidence{};
    row.traits[static_cast<std::size_t>(&t - traits.begin())] = {.weight = t.weight, .kind = t.kind, .shown = shown};
  }
  task.probability.push_back(1 / (1 + std::exp(-truth)));
  task.attainable.push_back(expected_sigmoid(mean, std::sqrt(variance)));
  task.label.push_back(draw.uniform() < task.probability.back() ? 1 : 0);
  task.rows.push_back(row);
}

std::vector<Customer> draw_customers(const ShopOptions& options, ShopTables& tables, ShopTask& churn) {
  RandomStream draw(mix(options.seed, 1));
  std::vector<Customer> all;
  tables.customers =
      "customer_id,signup_date,age,tenure_days,visits_per_month,support_tickets,newsletter,thrift_score,patience_score,churned\n";
  for (std::int64_t i = 0; i < options.customers; ++i) {
    const Customer c{draw.normal(), draw.normal(), static_cast<int>(draw.below(kCategory.size()))};
    const int signup = static_cast<int>(draw.below(365)), age = 18 + static_cast<int>(draw.below(60));
    const int tenure = 365 - signup, tickets = static_cast<int>(draw.below(5));
    const double visits = rounded(std::exp(1 + 0.7 * draw.normal()), 0.01);
    const bool letter = draw.uniform() < 0.4, hidden = draw.uniform() < 0.1;
    const double thrift = reveal(c.thrift, 0.7, draw), patience = reveal(c.patience, 0.7, draw);
    // Tickets hurt newcomers and help those who stayed; very rare and very frequent visitors leave.
    const double habit = std::log(1 + visits) - 1.3;
    const double seen = -2.1 + 0.7 * (tickets - 2) * (tenure < 150 ? 1.0 : -0.5) + 2.5 * habit * habit + (letter && age < 40 ? -1.0 : 0.0);
    draw_label(churn, static_cast<std::size_t>(i), seen,
               {{1.0, c.thrift, thrift, 0.7, !hidden, ShopTrait::thrift}, {-1.0, c.patience, patience, 0.7, true, ShopTrait::patience}},
               draw);
    append(tables.customers, "c%lld,%s,%d,%d,%.2f,%d,%s,%s,%.3f,%d\n", static_cast<long long>(i + 1), date(signup).c_str(), age, tenure,
           visits, tickets, letter ? "yes" : "no", fixed(thrift, 3, hidden).c_str(), patience, churn.label.back());
    all.push_back(c);
  }
  return all;
}

std::vector<Product> draw_products(const ShopOptions& options, ShopTables& tables) {
  RandomStream draw(mix(options.seed, 2));
  std::vector<Product> all;
  tables.products = "product_id,category,price,rating,appeal_score,stock\n";
  for (std::int64_t i = 0; i < options.products; ++i) {
    Product p{draw.normal(), draw.normal(), 0, static_cast<int>(draw.below(kCategory.size()))};
    p.price = rounded(std::exp(3.2 + 0.3 * p.appeal + 0.6 * draw.normal()), 0.01);
    const double rating = reveal(p.quality, 0.5, draw), appeal = reveal(p.appeal, 0.5, draw);
    append(tables.products, "p%lld,%s,%.2f,%.3f,%.3f,%d\n", static_cast<long long>(i + 1), kCategory[static_cast<std::size_t>(p.category)],
           p.price, rating, appeal, static_cast<int>(draw.below(500)));
    all.push_back(p);
  }
  return all;
}

/// Half of the sessions look at the customer's favourite category; otherwise at anything.
std::size_t choose_product(const Customer& c, const std::vector<Product>& products, RandomStream& draw) {
  std::size_t pick = draw.below(products.size());
  if (draw.uniform() < 0.5)
    for (int attempt = 0; attempt < 12 && products[pick].category != c.taste; ++attempt) pick = draw.below(products.size());
  return pick;
}

struct Purchase {
  std::size_t session, customer, product;
  int day, discount;
};

void draw_order(const Purchase& s, const Customer& c, const Product& p, ShopTables& tables, ShopTask& returned, RandomStream& draw) {
  const int quantity = 1 + static_cast<int>(draw.below(4)), delivery = 1 + static_cast<int>(draw.below(14));
  const std::size_t payment = draw.below(kPayment.size());
  const double review = reveal(p.quality, 0.6, draw), patience = reveal(c.patience, 0.6, draw);
  const bool hidden = draw.uniform() < 0.1;
  // Late parcels come back, more so when paid by invoice; several of a discounted thing were bought to try.
  const double seen = -2.0 + (delivery > 8 ? 1.4 : 0.0) * (payment == 1 ? 2.0 : 0.6) + (quantity > 2 && s.discount >= 15 ? 1.8 : 0.0);
  draw_label(returned, s.customer, seen,
             {{-0.9, p.quality, review, 0.6, !hidden}, {-0.9, c.patience, patience, 0.6, true, ShopTrait::patience}}, draw);
  append(tables.orders, "o%zu,s%zu,c%zu,p%zu,%s,%d,%.2f,%d,%d,%s,%s,%.3f,%d\n", returned.label.size(), s.session + 1, s.customer + 1,
         s.product + 1, date(s.day).c_str(), quantity, p.price * (1 - 0.01 * s.discount), s.discount, delivery, kPayment[payment],
         fixed(review, 3, hidden).c_str(), patience, returned.label.back());
}

void draw_sessions(const ShopOptions& options, const std::vector<Customer>& customers, const std::vector<Product>& products,
                   ShopTables& tables, ShopTask& purchase, ShopTask& returned) {
  RandomStream draw(mix(options.seed, 3)), order_draw(mix(options.seed, 4));
  tables.sessions =
      "session_id,customer_id,product_id,date,hour,device,source,visitor,pages,product_share,seconds,discount,days_since_visit,"
      "exit_rate,interest,purchase\n";
  tables.orders =
      "order_id,session_id,customer_id,product_id,date,quantity,unit_price,discount,delivery_days,payment,review_score,patience_score,"
      "returned\n";
  for (std::size_t i = 0; i < static_cast<std::size_t>(options.sessions); ++i) {
    const std::size_t who = draw.below(customers.size()), what = choose_product(customers[who], products, draw);
    const Customer& c = customers[who];
    const int day = static_cast<int>(draw.below(365)), hour = static_cast<int>(draw.below(24)),
              discount = 5 * static_cast<int>(draw.below(7));
    const std::size_t device = draw.below(kDevice.size()), source = draw.below(kSource.size());
    const bool known = draw.uniform() < 0.7, no_clock = draw.uniform() < 0.04, no_interest = draw.uniform() < 0.08;
    const int pages = 1 + static_cast<int>(std::exp(2 + 0.8 * draw.normal()));
    const double focus = rounded(draw.uniform(), 0.001);
    const double pace = draw.normal(), seconds = rounded(std::exp(5 + pace), 1);
    const int gap = static_cast<int>(draw.below(60));
    const double exits = rounded(draw.uniform(), 0.001), interest = reveal(c.thrift, 0.4, draw);
    const double z = std::log(1 + seconds) - 5;
    const bool evening = hour >= 14, handheld = device == 0 || device == 2;
    // Saturating in pages, a best length of visit, handhelds buy in the evening and desktops by day, discounts move new
    // visitors up to 15 %, e-mail moves known ones, a return after few days is worth more.
    const double seen = -1.6 + 1.6 * (pages / (pages + 6.0) - 0.5) * (0.5 + focus) + (no_clock ? 0.0 : 0.5 - 1.1 * z * z) +
                        (handheld == evening ? 0.8 : -0.8) + (known ? 0.02 : 0.12) * std::min(discount, 15) +
                        (source == 2 && known ? 1.2 : 0.0) + (known && gap < 10 ? 1.0 : 0.0) - 3.0 * exits;
    draw_label(purchase, who, seen,
               {{-1.4, c.thrift, interest, 0.4, !no_interest, ShopTrait::thrift}, {0.5, products[what].appeal, 0, 1, false}}, draw);
    append(tables.sessions, "s%zu,c%zu,p%zu,%s,%d,%s,%s,%s,%d,%.3f,%s,%d,%s,%.3f,%s,%d\n", i + 1, who + 1, what + 1, date(day).c_str(),
           hour, kDevice[device], kSource[source], known ? "returning" : "new", pages, focus, fixed(seconds, 0, no_clock).c_str(), discount,
           fixed(gap, 0, !known).c_str(), exits, fixed(interest, 3, no_interest).c_str(), purchase.label.back());
    if (purchase.label.back()) draw_order({i, who, what, day, discount}, c, products[what], tables, returned, order_draw);
  }
}

void draw_coupons(const ShopOptions& options, const std::vector<Customer>& customers, ShopTables& tables, ShopTask& redeemed) {
  RandomStream draw(mix(options.seed, 6));
  tables.coupons = "coupon_id,customer_id,date,channel,value,days_valid,minimum,redeemed\n";
  for (std::int64_t i = 0; i < std::max<std::int64_t>(1, options.sessions / 2); ++i) {
    const std::size_t who = draw.below(customers.size()), channel = draw.below(kChannel.size());
    const int day = static_cast<int>(draw.below(365)), value = 2 + static_cast<int>(draw.below(19)),
              valid = 1 + static_cast<int>(draw.below(30));
    const int minimum = 10 * static_cast<int>(draw.below(7));
    const double seen = -1.0 + 0.12 * (value - 11) - 0.02 * (minimum - 30) + (channel == 0 ? 0.6 : 0.0) + (valid < 5 ? -1.0 : 0.0);
    draw_label(
        redeemed, who, seen,
        {{1.6, customers[who].thrift, 0, 1, false, ShopTrait::thrift}, {-1.2, customers[who].patience, 0, 1, false, ShopTrait::patience}},
        draw);
    append(tables.coupons, "k%lld,c%zu,%s,%s,%d,%d,%d,%d\n", static_cast<long long>(i + 1), who + 1, date(day).c_str(), kChannel[channel],
           value, valid, minimum, redeemed.label.back());
  }
}

/// Whether a parcel is late follows from the parcel alone, up to a third of what its carrier hides.
void draw_deliveries(const ShopOptions& options, std::size_t customers, ShopTables& tables, ShopTask& late) {
  RandomStream draw(mix(options.seed, 5));
  tables.deliveries = "delivery_id,customer_id,date,carrier,distance_km,weight_kg,stops,rain_mm,express,late\n";
  for (std::int64_t i = 0; i < options.sessions; ++i) {
    const std::size_t who = draw.below(customers), carrier = draw.below(kCarrier.size());
    const int day = static_cast<int>(draw.below(365)), stops = 1 + static_cast<int>(draw.below(8));
    const double distance = rounded(800 * draw.uniform(), 0.1), weight = rounded(std::exp(0.8 * draw.normal()), 0.01);
    const double rain = draw.uniform() < 0.6 ? 0 : rounded(12 * draw.uniform(), 0.1);
    const bool express = draw.uniform() < 0.25;
    const double seen = -2.2 + distance / 400 + 0.25 * (stops - 4) + (carrier == 2 ? 1.0 : 0.0) + 0.12 * rain - (express ? 1.2 : 0.0);
    draw_label(late, who, seen, {{0.6, draw.normal(), 0, 1, false}}, draw);
    append(tables.deliveries, "d%lld,c%zu,%s,%s,%.1f,%.2f,%d,%.1f,%s,%d\n", static_cast<long long>(i + 1), who + 1, date(day).c_str(),
           kCarrier[carrier], distance, weight, stops, rain, express ? "yes" : "no", late.label.back());
  }
}

}  // namespace

ShopTables draw_shop(const ShopOptions& options) {
  ShopTables tables;
  ShopTask churn("churn", "customers.csv", "churned", "helps"), purchase("purchase", "sessions.csv", "purchase", "helps little"),
      returned("returned", "orders.csv", "returned", "helps little"), late("late", "deliveries.csv", "late", "cannot help"),
      redeemed("redeemed", "coupons.csv", "redeemed", "helps");
  const auto customers = draw_customers(options, tables, churn);
  const auto products = draw_products(options, tables);
  draw_sessions(options, customers, products, tables, purchase, returned);
  draw_deliveries(options, customers.size(), tables, late);
  draw_coupons(options, customers, tables, redeemed);
  tables.tasks = {purchase, churn, returned, late, redeemed};
  share_evidence(tables.tasks, customers.size());
  return tables;
}

}  // namespace chorale
