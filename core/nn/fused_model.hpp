// A task's model that listens to its peers: the task's own layers, an exporter that makes the vector it publishes of each row, and a
// fusion that adds what peers have published of the row's entity. Source: residual fusion after Lu, Goswami et al., "12-in-1" 2020, in the
// form of docs/collaborative.md.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include <chorale/core/nn/linear.hpp>
#include <chorale/core/nn/sequential.hpp>

namespace chorale {

struct FusionOptions {
  std::int64_t width = 8;        // floats of a published vector
  bool exports = true;           // a task that only listens has no exporter
  bool exports_features = true;  // the exporter reads x too, where rows are flat: what the task itself has no use for may help a peer
  std::int64_t peers = 0;        // whose vectors come in; 0: a task that only publishes
  std::int64_t hidden = 0;       // units of the fusion that see vectors and phi together; 0: it is linear in the vectors
  double own_gain = 1;           // what the own head's starting weights are multiplied by
  bool starts_at_zero = true;    // the fusion's last layer: the first step is that of the own layers alone
};

/// Reads "x" [B, ...] and, with peers, "shared" [B, peers * width]: the peers' vectors one after the other, zeros where a peer has none of
/// the row's entity. Gives "y" [B, C] = own(x) + fusion(gated vectors); with an exporter also "entity" [B, width] = A phi(x) + B x + c, phi
/// being what the last layer with parameters of `own` reads, and "entity_y" [B, C], the exporter's own small head, which trains it. The own
/// layers keep their names ("0.weight") and random numbers: alone and fused they start alike.
class FusedModel final : public Module {
 public:
  /// in: shape of a row of "x". Throws UsageError where `own` gives no flat rows.
  FusedModel(std::unique_ptr<Sequential> own, const Shape& in, const FusionOptions& options);
  Values forward(const Values& in, const Pass& pass) override;
  /// Another module, that reads the same fields and learns at the same steps; its results in training are added to this one's. Before the
  /// arena is laid out.
  void train_beside(const std::string& name, std::unique_ptr<Module> other);
  /// The exporter's vectors alone, [B, width].
  Variable entity(const Variable& x, const Pass& pass);
  /// phi alone: what the last layer with parameters reads.
  Variable hidden(const Variable& x, const Pass& pass) { return own_->forward_through(x, 0, head_, pass); }
  std::string name() const override { return "fused"; }

  Sequential& own() { return *own_; }
  const FusionOptions& options() const { return options_; }
  /// Whether this peer's vectors are used; all are at first. Equal on all ranks, between steps.
  void set_open(std::int64_t peer, bool is_open) { open_[static_cast<std::size_t>(peer)] = is_open; }
  bool is_open(std::int64_t peer) const { return open_[static_cast<std::size_t>(peer)]; }
  bool any_open() const;
  /// The fusion alone learns: own layers and exporter are used as they are. Equal on all ranks, between steps.
  void set_probing(bool is_probing) { is_probing_ = is_probing; }
  /// From now on own layers and exporter are used as they are, whoever is heard: others have stored what they make of all rows.
  void set_settled(bool is_settled) { is_settled_ = is_settled; }
  /// Whether a parameter, by its name, is the fusion's: what learns on where the rest is settled.
  static bool is_of_fusion(std::string_view parameter);

 private:
  Variable exported(const Variable& x, const Variable& phi, const Pass& pass);
  Variable gated(const Variable& shared, const Pass& pass) const;
  Variable joined(const Variable& shared, const Variable& phi, const Pass& pass);

  std::unique_ptr<Sequential> own_;
  FusionOptions options_;
  std::size_t head_ = 0;  // the layer that reads phi
  std::unique_ptr<Linear> exporter_, exporter_head_, exporter_in_;
  Parameter* gates_ = nullptr;               // [1, peers]; a peer's vectors are multiplied by the sigmoid of its gate
  std::unique_ptr<Linear> join_, join_own_;  // of vectors and phi, into the hidden layer
  std::unique_ptr<Sequential> fusion_;
  std::unique_ptr<Module> beside_;
  std::vector<bool> open_;
  bool is_probing_ = false, is_settled_ = false;
};

}  // namespace chorale
