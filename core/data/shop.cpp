#include <chorale/core/data/shop.hpp>

#include <fstream>
#include <string>

#include <unistd.h>

#include <chorale/core/base/error.hpp>
#include <chorale/core/data/shop_tables.hpp>

namespace chorale {
namespace fs = std::filesystem;
namespace {

void write_text(const fs::path& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) throw IoError("[data shop] cannot write " + path.string() + "; free space or choose another folder with --out");
}

void check(const ShopOptions& options) {
  for (const auto& [name, value] :
       {std::pair{"customers", options.customers}, {"products", options.products}, {"sessions", options.sessions}})
    if (value < 1) throw UsageError(std::string("[data shop] ") + name + " must be at least 1, got " + std::to_string(value));
  if (options.out.empty()) throw UsageError("[data shop] no folder given; name one with --out DIR");
  std::error_code code;
  if (!fs::exists(options.out, code)) return;
  if (!fs::is_directory(options.out, code))
    throw UsageError("[data shop] " + options.out.string() + " is a file; name a folder with --out DIR");
  if (!fs::is_empty(options.out, code) && !options.overwrite)
    throw UsageError("[data shop] folder " + options.out.string() + " exists and is not empty; name another, or pass --overwrite");
}

}  // namespace

void generate_shop(const ShopOptions& options, Log& log) {
  check(options);
  const ShopTables tables = draw_shop(options);
  fs::path out = fs::absolute(options.out).lexically_normal();
  if (!out.has_filename()) out = out.parent_path();  // "shop/" names the folder shop
  const fs::path partial = out.string() + ".tmp." + std::to_string(::getpid());
  try {
    fs::create_directories(partial);
    write_text(partial / "customers.csv", tables.customers);
    write_text(partial / "products.csv", tables.products);
    write_text(partial / "sessions.csv", tables.sessions);
    write_text(partial / "orders.csv", tables.orders);
    write_text(partial / "deliveries.csv", tables.deliveries);
    write_text(partial / "coupons.csv", tables.coupons);
    write_text(partial / "truth.json", truth_json(tables.tasks));
    // A rename onto a full folder is refused by the system; the old one steps aside, so no moment deletes before the new is there.
    const fs::path old = partial.string() + ".old";
    const bool replaces = fs::exists(out);
    if (replaces) fs::rename(out, old);
    std::error_code failure;
    fs::rename(partial, out, failure);
    if (failure && replaces) fs::rename(old, out);  // the former shop comes back
    if (failure) throw fs::filesystem_error("rename", partial, out, failure);
    if (replaces) fs::remove_all(old);
    log.info("[data shop] wrote " + out.string());
  } catch (const fs::filesystem_error& error) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw IoError("[data shop] cannot write " + out.string() + ": " + error.what() + "; choose another folder with --out");
  } catch (...) {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    throw;
  }
}

}  // namespace chorale
