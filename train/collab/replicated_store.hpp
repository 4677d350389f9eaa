// The store of which every rank keeps all of it: what is posted is gathered to all, and each applies it alike.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include <chorale/comm/communicator.hpp>
#include <chorale/train/collab/store_table.hpp>
#include <chorale/train/collab/tick_gather.hpp>

namespace chorale {

/// One thread a rank. A post sends 16 bytes a rank and, for each (entity, part) that it has seen, 12 + 4 width bytes.
class ReplicatedStore final : public Store {
 public:
  /// comm: of sharing alone; outlives the store. publishers: equal on all ranks.
  ReplicatedStore(Communicator& comm, std::vector<Publisher> publishers, const StoreOptions& options);
  std::vector<KeyPlaces> locate(const std::vector<WantedKeys>& wanted) override;
  void post(int publisher, const EntitySums& seen) override;
  void settle() override { gather_.settle(); }
  void advance() override { gather_.advance(); }
  void complete() override;
  bool is_pending() const override { return gather_.is_pending() || is_restored_; }
  std::vector<NamedTensor> state() override;
  void restore(const SafetensorsFile& file, const std::string& text) override;
  std::int64_t bytes() const override;
  std::string_view form() const override { return "replicated"; }
  const float* row(int publisher, std::int32_t position) const override { return table(publisher).row(position); }

  const Publisher& publisher(int number) const { return table(number).publisher(); }
  /// Rows that are there.
  std::int64_t rows(int publisher) const;
  /// As published, [entities, width]; zeros where there is none.
  std::span<const float> raw(int publisher) const { return table(publisher).rows(); }

 private:
  const StoreTable& table(int publisher) const { return tables_[static_cast<std::size_t>(publisher)]; }
  void rescale(std::size_t publisher);
  TickGather gather_;
  std::vector<StoreTable> tables_;
  std::vector<std::vector<std::int32_t>> posted_;  // words of entries that are here and not applied, for a checkpoint or from one
  bool is_restored_ = false;                       // posted_ holds what was posted before
};

}  // namespace chorale
