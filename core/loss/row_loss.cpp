#include <chorale/core/loss/row_loss.hpp>

namespace chorale {

void check_rows(const char* loss, const Tensor& prediction, const Tensor& target, const Tensor& weight, bool one_target_a_row) {
  const std::int64_t rows = prediction.rows(), wanted = one_target_a_row ? rows : prediction.elements();
  const std::string where = std::string("[") + loss + "] ";
  if (!target.defined() || target.rows() != rows || target.elements() != wanted)
    throw ShapeError(where + "prediction " + prediction.shape().text() + " needs " + std::to_string(wanted) + " targets, got " +
                     target.shape().text());
  if (target.dtype() != prediction.dtype())
    throw ShapeError(where + "prediction is " + std::string(name(prediction.dtype())) + ", the target " +
                     std::string(name(target.dtype())));
  if (weight.defined() && (weight.elements() != rows || weight.dtype() != prediction.dtype()))
    throw ShapeError(where + "expected one weight a row, " + std::to_string(rows) + ", got " + weight.shape().text());
}

}  // namespace chorale
