#include <chorale/core/nn/fold_exporters.hpp>

#include <algorithm>

#include <chorale/core/autograd/ops.hpp>

namespace chorale {

namespace {

/// [B, columns] like `results`: 0 in rows of the fold, else 1.
Variable outside(const Tensor& folds, std::int64_t kind, std::int64_t fold, const Tensor& results) {
  Tensor mask = Tensor::empty(results.device(), results.shape(), results.dtype());
  const std::int64_t kinds = folds.row_elements(), columns = results.row_elements();
  with_float_type(results.dtype(), [&]<class T>() {
    const T* of = folds.data<T>();
    for (std::int64_t row = 0; row < results.rows(); ++row)
      std::fill_n(mask.data<T>() + row * columns, columns, of[row * kinds + kind] == static_cast<T>(fold) ? T{0} : T{1});
  });
  return Variable(mask);
}

/// Into `out` [B, kinds * width] the vectors of rows of the fold.
void take(const Tensor& vectors, const Tensor& folds, std::int64_t kind, std::int64_t fold, Tensor& out) {
  const std::int64_t kinds = folds.row_elements(), width = vectors.row_elements();
  with_float_type(vectors.dtype(), [&]<class T>() {
    const T* of = folds.data<T>();
    for (std::int64_t row = 0; row < vectors.rows(); ++row)
      if (of[row * kinds + kind] == static_cast<T>(fold))
        std::copy_n(vectors.data<T>() + row * width, width, out.data<T>() + (row * kinds + kind) * width);
  });
}

}  // namespace

FoldExporters::FoldExporters(const std::function<std::unique_ptr<Sequential>()>& own, const Shape& in, const FoldOptions& options)
    : options_(options) {
  for (std::int64_t kind = 0; kind < options_.kinds; ++kind)
    for (std::int64_t fold = 0; fold < options_.folds; ++fold) {
      models_.push_back(
          std::make_unique<FusedModel>(own(), in, FusionOptions{.width = options_.width, .exports_features = options_.exports_features}));
      for (const Named& each : models_.back()->parameters()) each.parameter->draw_as(each.name);
      add_child(std::to_string(kind) + "." + std::to_string(fold), *models_.back());
    }
}

std::string FoldExporters::result(const std::string& what, std::int64_t kind, std::int64_t fold) {
  return what + "." + std::to_string(kind) + "." + std::to_string(fold);
}

Values FoldExporters::forward(const Values& in, const Pass& pass) {
  Values out;
  const Variable* folds = in.find("folds");
  if (!folds) return out;
  const Variable& x = in.at("x");
  Tensor entity = Tensor::zeros(pass.device, {x.shape()[0], options_.kinds * options_.width}, x.dtype());
  for (std::int64_t kind = 0; kind < options_.kinds; ++kind)
    for (std::int64_t fold = 0; fold < options_.folds; ++fold) {
      const Values results = model(kind, fold).forward(in, pass);
      take(results.at("entity").value(), folds->value(), kind, fold, entity);
      for (const std::string what : {"y", "entity_y"}) {
        const Variable* y = results.find(what);
        if (y) out.set(result("fold_" + what, kind, fold), *y * outside(folds->value(), kind, fold, y->value()));
      }
    }
  out.set("fold_entity", Variable(entity));
  return out;
}

Tensor FoldExporters::entity(const Variable& x, const Tensor& folds, const Pass& pass) {
  Tensor out = Tensor::zeros(pass.device, {x.shape()[0], options_.kinds * options_.width}, x.dtype());
  for (std::int64_t kind = 0; kind < options_.kinds; ++kind)
    for (std::int64_t fold = 0; fold < options_.folds; ++fold) take(model(kind, fold).entity(x, pass).value(), folds, kind, fold, out);
  return out;
}

}  // namespace chorale
