// Operations for TensorFlow on cores that pass over the memory once where TensorFlow's own pass several times: batch
// normalisation with the activation behind it, a sum with the ReLU behind it, ReLU, GELU, and their gradients.
//
// Activations are bfloat16 or float32, channels last: (rows, channels). Everything is computed in float32, sums over
// blocks of rows that fit into a cache, and over the blocks in double, in the same order for any number of threads.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

// Login and compute nodes may have different processors: the loader takes the version that fits.
#if defined(__x86_64__) && !defined(__clang__) && __GNUC__ >= 12
#define FOR_EACH_PROCESSOR __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"), noinline))
#elif defined(__x86_64__) && !defined(__clang__)
#define FOR_EACH_PROCESSOR __attribute__((target_clones("avx2", "default"), noinline))
#else
#define FOR_EACH_PROCESSOR
#endif
#define INLINE inline __attribute__((always_inline))
// Outputs may be written over inputs of the same place, which the compiler would take for a dependence.
#define IN_ANY_ORDER _Pragma("GCC ivdep")

namespace hpcdl {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

// ---- Numbers ----

struct Bfloat16 {  // the bits; tensorflow::bfloat16 hides them from the compiler's vectoriser
  uint16_t bits;
};

INLINE float Load(float value) { return value; }
INLINE float Load(Bfloat16 value) {
  uint32_t bits = uint32_t{value.bits} << 16;
  float loaded;
  std::memcpy(&loaded, &bits, sizeof loaded);
  return loaded;
}

INLINE void Store(float value, float* to) { *to = value; }
INLINE void Store(float value, Bfloat16* to) {  // to the nearest, ties to even
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof bits);
  uint32_t rounded = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16;
  to->bits = value != value ? 0x7fc0 : rounded;
}

INLINE float Rectify(float value) { return value < 0 ? 0 : value; }  // a NaN stays one: it must be seen
INLINE Bfloat16 Rectify(Bfloat16 value) {
  bool negative = int16_t(value.bits) < 0 && value.bits <= 0xff80;
  return {uint16_t(value.bits & (uint16_t(negative) - 1))};
}

// exp(-half) for half >= 0, to 1e-5 of it; 0 from where it is smaller than normal numbers of float. A NaN stays one.
INLINE float ExpOfMinus(float half) {
  float power = half * -1.44269504f;  // of 2
  power = power < -126 ? -126 : power;
  float whole = (power + 12582912.f) - 12582912.f;  // rounded: 1.5 * 2^23 leaves no place for a fraction
  float rest = (power - whole) * 0.69314718f;       // of e, at most ln(2) / 2
  float series = 1 / 24.f + rest * (1 / 120.f + rest * (1 / 720.f));
  series = 1 + rest * (1 + rest * (1 / 2.f + rest * (1 / 6.f + rest * series)));
  int32_t bits = (int32_t(whole) + 127) << 23;
  float scale;
  std::memcpy(&scale, &bits, sizeof scale);
  return half > 87 ? 0 : series * scale;
}

struct Normal {  // the standard normal distribution
  float below, density;
};
INLINE Normal NormalAt(float z) {
  constexpr float kHalf = 0.5f, kInverseRoot = 0.39894228f;  // 1 / sqrt(2 pi)
  float exponential = ExpOfMinus(z * z * kHalf);
  // Abramowitz, Stegun, Handbook of Mathematical Functions, 7.1.26: the error of erf is below 1.5e-7.
  float t = 1 / (1 + 0.3275911f * 0.70710678f * std::fabs(z));
  float series = t * (0.254829592f + t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
  float tail = kHalf * series * exponential;
  return {z < 0 ? tail : 1 - tail, kInverseRoot * exponential};
}

INLINE float WherePositive(float gradient, float output) { return output > 0 ? gradient : 0; }
INLINE Bfloat16 WherePositive(Bfloat16 gradient, Bfloat16 output) {
  return {uint16_t(gradient.bits & -uint16_t(int16_t(output.bits) > 0))};
}

// ---- Loops over one block of rows ----

constexpr int64_t kWide = 64, kNarrow = 16;  // channels whose sums fit into registers

// The mean and the sum of squared deviations of each channel.
template <int kChannels, typename T>
INLINE void MomentsOfStrip(const T* x, int64_t rows, int64_t stride, float* mean, float* squares) {
  float sum[kChannels] = {}, square[kChannels] = {};
  for (int64_t row = 0; row < rows; row++)
    for (int c = 0; c < kChannels; c++) sum[c] += Load(x[row * stride + c]);
  for (int c = 0; c < kChannels; c++) sum[c] /= rows;
  for (int64_t row = 0; row < rows; row++)
    for (int c = 0; c < kChannels; c++) {
      float deviation = Load(x[row * stride + c]) - sum[c];
      square[c] += deviation * deviation;
    }
  std::copy_n(sum, kChannels, mean);
  std::copy_n(square, kChannels, squares);
}

template <typename T>
INLINE void MomentsOf(const T* x, int64_t rows, int64_t channels, float* mean, float* squares) {
  int64_t c = 0;
  for (; c + kWide <= channels; c += kWide) MomentsOfStrip<kWide>(x + c, rows, channels, mean + c, squares + c);
  for (; c + kNarrow <= channels; c += kNarrow) MomentsOfStrip<kNarrow>(x + c, rows, channels, mean + c, squares + c);
  for (; c < channels; c++) MomentsOfStrip<1>(x + c, rows, channels, mean + c, squares + c);
}

// What a channel's values become: slope * x + shift.
struct Line {
  const float *slope, *shift;
};

struct Linear {
  static INLINE float Of(float z) { return z; }
  static INLINE float Slope(float) { return 1; }
};
struct Rectifier {
  static INLINE float Of(float z) { return Rectify(z); }
  static INLINE float Slope(float z) { return z > 0 ? 1 : 0; }
};
struct GaussianErrorLinear {
  static INLINE float Of(float z) { return z < -14 ? 0 : z * NormalAt(z).below; }  // without it -inf would become a NaN
  static INLINE float Slope(float z) {
    Normal normal = NormalAt(z);
    return std::fabs(z) > 14 ? z > 0 : normal.below + z * normal.density;
  }
};

template <typename Activation, typename T>
INLINE void OutputsOf(const T* x, int64_t rows, int64_t channels, Line line, T* y) {
  for (int64_t row = 0; row < rows; row++, x += channels, y += channels)
    IN_ANY_ORDER for (int64_t c = 0; c < channels; c++) {
      float value = Load(x[c]) * line.slope[c] + line.shift[c];
      Store(Activation::Of(value), y + c);
    }
}

// The sums of the gradient behind the line, and of that gradient times the deviation of x from its mean.
template <typename Activation, int kChannels, typename T>
INLINE void SumsOfStrip(const T* dy, const T* x, int64_t rows, int64_t stride, Line line, const float* mean,
                        float* sums, float* products) {
  float sum[kChannels] = {}, product[kChannels] = {};
  for (int64_t row = 0; row < rows; row++)
    for (int c = 0; c < kChannels; c++) {
      float value = Load(x[row * stride + c]);
      float gradient = Load(dy[row * stride + c]) * Activation::Slope(value * line.slope[c] + line.shift[c]);
      sum[c] += gradient;
      product[c] += gradient * (value - mean[c]);
    }
  std::copy_n(sum, kChannels, sums);
  std::copy_n(product, kChannels, products);
}

template <typename Activation, typename T>
INLINE void SumsOf(const T* dy, const T* x, int64_t rows, int64_t channels, Line line, const float* mean, float* sums,
                   float* products) {
  constexpr int64_t kWidth = kWide / 2;  // two sums each
  int64_t c = 0;
  auto rest = [&] { return Line{line.slope + c, line.shift + c}; };
  for (; c + kWidth <= channels; c += kWidth)
    SumsOfStrip<Activation, kWidth>(dy + c, x + c, rows, channels, rest(), mean + c, sums + c, products + c);
  for (; c + kNarrow <= channels; c += kNarrow)
    SumsOfStrip<Activation, kNarrow>(dy + c, x + c, rows, channels, rest(), mean + c, sums + c, products + c);
  for (; c < channels; c++)
    SumsOfStrip<Activation, 1>(dy + c, x + c, rows, channels, rest(), mean + c, sums + c, products + c);
}

// dx = slope * dy + of_x * x + constant
template <typename Activation, typename T>
INLINE void InputGradientsOf(const T* dy, const T* x, int64_t rows, int64_t channels, Line line, const float* of_x,
                             const float* constant, T* dx) {
  for (int64_t row = 0; row < rows; row++, dy += channels, x += channels, dx += channels)
    IN_ANY_ORDER for (int64_t c = 0; c < channels; c++) {
      float value = Load(x[c]);
      float gradient = Load(dy[c]) * Activation::Slope(value * line.slope[c] + line.shift[c]);
      Store(line.slope[c] * gradient + of_x[c] * value + constant[c], dx + c);
    }
}

enum class Kind { kLinear, kRelu, kGelu };

// GCC makes no version for each processor of a template: these are the loops for both types.
#define BY_KIND(CALL)                                                                                                 \
  switch (kind) {                                                                                                     \
    case Kind::kLinear: return CALL(Linear);                                                                          \
    case Kind::kRelu: return CALL(Rectifier);                                                                         \
    case Kind::kGelu: return CALL(GaussianErrorLinear);                                                               \
  }
#define OUTPUTS(A) OutputsOf<A>(x, rows, channels, line, y)
#define SUMS(A) SumsOf<A>(dy, x, rows, channels, line, mean, sums, products)
#define INPUT_GRADIENTS(A) InputGradientsOf<A>(dy, x, rows, channels, line, of_x, constant, dx)
#define LOOPS(T)                                                                                                      \
  FOR_EACH_PROCESSOR void Moments(const T* x, int64_t rows, int64_t channels, float* mean, float* squares) {          \
    MomentsOf(x, rows, channels, mean, squares);                                                                      \
  }                                                                                                                   \
  FOR_EACH_PROCESSOR void Outputs(Kind kind, const T* x, int64_t rows, int64_t channels, Line line, T* y) {           \
    BY_KIND(OUTPUTS)                                                                                                  \
  }                                                                                                                   \
  FOR_EACH_PROCESSOR void Sums(Kind kind, const T* dy, const T* x, int64_t rows, int64_t channels, Line line,         \
                               const float* mean, float* sums, float* products) {                                     \
    BY_KIND(SUMS)                                                                                                     \
  }                                                                                                                   \
  FOR_EACH_PROCESSOR void InputGradients(Kind kind, const T* dy, const T* x, int64_t rows, int64_t channels,          \
                                         Line line, const float* of_x, const float* constant, T* dx) {                \
    BY_KIND(INPUT_GRADIENTS)                                                                                          \
  }                                                                                                                   \
  FOR_EACH_PROCESSOR void Rectified(const T* x, int64_t size, T* y) {                                                 \
    IN_ANY_ORDER for (int64_t i = 0; i < size; i++) y[i] = Rectify(x[i]);                                             \
  }                                                                                                                   \
  FOR_EACH_PROCESSOR void RectifiedSum(const T* x, const T* z, int64_t size, T* y) {                                  \
    IN_ANY_ORDER for (int64_t i = 0; i < size; i++) Store(Rectify(Load(x[i]) + Load(z[i])), y + i);                   \
  }                                                                                                                   \
  FOR_EACH_PROCESSOR void RectifiedGradient(const T* dy, const T* y, int64_t size, T* dx) {                           \
    IN_ANY_ORDER for (int64_t i = 0; i < size; i++) dx[i] = WherePositive(dy[i], y[i]);                               \
  }                                                                                                                   \
  FOR_EACH_PROCESSOR void Gaussian(const T* x, int64_t size, T* y) {                                                  \
    IN_ANY_ORDER for (int64_t i = 0; i < size; i++) Store(GaussianErrorLinear::Of(Load(x[i])), y + i);                \
  }                                                                                                                   \
  FOR_EACH_PROCESSOR void GaussianGradient(const T* dy, const T* x, int64_t size, T* dx) {                            \
    IN_ANY_ORDER for (int64_t i = 0; i < size; i++)                                                                   \
      Store(Load(dy[i]) * GaussianErrorLinear::Slope(Load(x[i])), dx + i);                                            \
  }
LOOPS(Bfloat16)
LOOPS(float)

// ---- Operations of TensorFlow ----

template <typename T>
struct Stored {
  using Type = T;
};
template <>
struct Stored<tensorflow::bfloat16> {
  using Type = Bfloat16;
};

template <typename T>
const typename Stored<T>::Type* Read(const Tensor& tensor) {
  return reinterpret_cast<const typename Stored<T>::Type*>(tensor.flat<T>().data());
}
template <typename T>
typename Stored<T>::Type* Write(Tensor* tensor) {
  return reinterpret_cast<typename Stored<T>::Type*>(tensor->flat<T>().data());
}

constexpr int64_t kCyclesOfPart = 20000;  // about, for TensorFlow's choice of how many threads to use

void InParts(OpKernelContext* context, int64_t parts, std::function<void(int64_t, int64_t)> work) {
  const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
  tensorflow::Shard(workers.num_threads, workers.workers, parts, kCyclesOfPart, std::move(work));
}

struct Blocks {  // of rows
  static constexpr int64_t kValues = 32 * 1024;
  int64_t rows, channels, each, count;

  explicit Blocks(const Tensor& x) {
    channels = x.dim_size(x.dims() - 1);
    rows = x.NumElements() / channels;
    each = std::max<int64_t>(1, kValues / channels);
    count = (rows + each - 1) / each;
  }
  int64_t Length(int64_t block) const { return std::min(each, rows - block * each); }

  // Calls work(number of the block, place of its first value, its rows) for each, on several threads.
  template <typename Work>
  void ForEach(OpKernelContext* context, Work work) const {
    InParts(context, count, [&](int64_t block, int64_t end) {
      for (; block < end; block++) work(block, block * each * channels, Length(block));
    });
  }
};

class Normalization : public OpKernel {
 public:
  explicit Normalization(OpKernelConstruction* construction) : OpKernel(construction) {
    OP_REQUIRES_OK(construction, construction->GetAttr("epsilon", &epsilon_));
    std::string activation;
    OP_REQUIRES_OK(construction, construction->GetAttr("activation", &activation));
    kind_ = activation == "relu" ? Kind::kRelu : activation == "gelu" ? Kind::kGelu : Kind::kLinear;
  }

 protected:
  // Whether x is (..., channels) with values in it and each vector has one for each channel; says so if not.
  bool Fits(OpKernelContext* context, const Tensor& x, int first_vector) {
    bool fits = x.dims() > 1 && x.NumElements() > 0;
    for (int i = first_vector; i < context->num_inputs(); i++)
      fits = fits && context->input(i).NumElements() == x.dim_size(x.dims() - 1);
    if (!fits)
      context->CtxFailure(absl::InvalidArgumentError("batch normalisation of no values, or of other channels"));
    return fits;
  }
  float epsilon_;
  Kind kind_;
};

template <typename T>
class BatchNormalization : public Normalization {
 public:
  using Normalization::Normalization;

  void Compute(OpKernelContext* context) override {
    const Tensor& x_tensor = context->input(0);
    if (!Fits(context, x_tensor, 1)) return;
    const Blocks blocks(x_tensor);
    const int64_t channels = blocks.channels;
    Tensor *y_tensor, *mean_tensor, *variance_tensor;
    OP_REQUIRES_OK(context, context->allocate_output(0, x_tensor.shape(), &y_tensor));
    OP_REQUIRES_OK(context, context->allocate_output(1, TensorShape({channels}), &mean_tensor));
    OP_REQUIRES_OK(context, context->allocate_output(2, TensorShape({channels}), &variance_tensor));
    const float *scale = Read<float>(context->input(1)), *offset = Read<float>(context->input(2));
    float *mean = Write<float>(mean_tensor), *variance = Write<float>(variance_tensor);
    const auto* x = Read<T>(x_tensor);
    auto* y = Write<T>(y_tensor);

    std::vector<float> means(blocks.count * channels), squares(blocks.count * channels);
    blocks.ForEach(context, [&](int64_t block, int64_t first, int64_t rows) {
      Moments(x + first, rows, channels, &means[block * channels], &squares[block * channels]);
    });
    // Chan, Golub, LeVeque (1979): the moments of all from those of the parts.
    std::vector<double> sum(channels), square(channels);
    for (int64_t block = 0; block < blocks.count; block++)
      for (int64_t c = 0; c < channels; c++)
        sum[c] += double{means[block * channels + c]} * blocks.Length(block);
    for (int64_t block = 0; block < blocks.count; block++)
      for (int64_t c = 0; c < channels; c++) {
        double apart = means[block * channels + c] - sum[c] / blocks.rows;
        square[c] += squares[block * channels + c] + apart * apart * blocks.Length(block);
      }
    std::vector<float> slope(channels), shift(channels);
    for (int64_t c = 0; c < channels; c++) {
      mean[c] = sum[c] / blocks.rows;
      variance[c] = square[c] / blocks.rows;
      slope[c] = scale[c] / std::sqrt(variance[c] + epsilon_);
      shift[c] = offset[c] - mean[c] * slope[c];
    }
    blocks.ForEach(context, [&](int64_t, int64_t first, int64_t rows) {
      Outputs(kind_, x + first, rows, channels, {slope.data(), shift.data()}, y + first);
    });
  }
};

template <typename T>
class BatchNormalizationGrad : public Normalization {
 public:
  using Normalization::Normalization;

  void Compute(OpKernelContext* context) override {
    const Tensor &dy_tensor = context->input(0), &x_tensor = context->input(1);
    if (!Fits(context, x_tensor, 2)) return;
    OP_REQUIRES(context, dy_tensor.shape() == x_tensor.shape(),
                absl::InvalidArgumentError("a gradient of another shape than its outputs"));
    const Blocks blocks(x_tensor);
    const int64_t channels = blocks.channels;
    Tensor *dx_tensor, *dscale_tensor, *doffset_tensor;
    OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, x_tensor.shape(), &dx_tensor));
    OP_REQUIRES_OK(context, context->allocate_output(1, TensorShape({channels}), &dscale_tensor));
    OP_REQUIRES_OK(context, context->allocate_output(2, TensorShape({channels}), &doffset_tensor));
    const float *scale = Read<float>(context->input(2)), *offset = Read<float>(context->input(3));
    const float *mean = Read<float>(context->input(4)), *variance = Read<float>(context->input(5));
    float *dscale = Write<float>(dscale_tensor), *doffset = Write<float>(doffset_tensor);
    const auto *dy = Read<T>(dy_tensor), *x = Read<T>(x_tensor);
    auto* dx = Write<T>(dx_tensor);

    std::vector<float> slope(channels), shift(channels), of_x(channels), constant(channels);
    for (int64_t c = 0; c < channels; c++) {  // as in BatchNormalization, to find its positive outputs again
      slope[c] = scale[c] / std::sqrt(variance[c] + epsilon_);
      shift[c] = offset[c] - mean[c] * slope[c];
    }
    const Line line{slope.data(), shift.data()};
    std::vector<float> sums(blocks.count * channels), products(blocks.count * channels);
    blocks.ForEach(context, [&](int64_t block, int64_t first, int64_t rows) {
      Sums(kind_, dy + first, x + first, rows, channels, line, mean, &sums[block * channels],
           &products[block * channels]);
    });
    std::vector<double> sum(channels), product(channels);
    for (int64_t block = 0; block < blocks.count; block++)
      for (int64_t c = 0; c < channels; c++) {
        sum[c] += sums[block * channels + c];
        product[c] += products[block * channels + c];
      }
    for (int64_t c = 0; c < channels; c++) {
      // Ioffe, Szegedy (https://arxiv.org/abs/1502.03167), section 3, with the sums over the batch gathered by x.
      double inverse = 1 / std::sqrt(double{variance[c]} + epsilon_);
      dscale[c] = product[c] * inverse;
      doffset[c] = sum[c];
      double by_x = -slope[c] * inverse * inverse * product[c] / blocks.rows;
      of_x[c] = by_x;
      constant[c] = -slope[c] * sum[c] / blocks.rows - by_x * mean[c];
    }
    blocks.ForEach(context, [&](int64_t, int64_t first, int64_t rows) {
      InputGradients(kind_, dy + first, x + first, rows, channels, line, of_x.data(), constant.data(), dx + first);
    });
  }
};

// An output of the shape of all inputs; work(first inputs, last inputs, size, outputs) makes a part of it.
template <typename T, typename Work>
void Elementwise(OpKernelContext* context, Work work) {
  constexpr int64_t kValues = 32 * 1024;
  const Tensor &first = context->input(0), &last = context->input(context->num_inputs() - 1);
  OP_REQUIRES(context, first.shape() == last.shape(), absl::InvalidArgumentError("two inputs of different shapes"));
  Tensor* output;
  OP_REQUIRES_OK(context, context->forward_input_or_allocate_output({0}, 0, first.shape(), &output));
  const auto *x = Read<T>(first), *z = Read<T>(last);
  auto* y = Write<T>(output);
  const int64_t size = first.NumElements();
  InParts(context, (size + kValues - 1) / kValues, [&](int64_t part, int64_t end) {
    int64_t from = part * kValues;
    work(x + from, z + from, std::min(size, end * kValues) - from, y + from);
  });
}

template <typename T>
struct Relu : OpKernel {
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* context) override {
    Elementwise<T>(context, [](auto* x, auto*, int64_t size, auto* y) { Rectified(x, size, y); });
  }
};

template <typename T>
struct AddRelu : OpKernel {
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* context) override {
    Elementwise<T>(context, [](auto* x, auto* z, int64_t size, auto* y) { RectifiedSum(x, z, size, y); });
  }
};

template <typename T>
struct ReluGrad : OpKernel {
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* context) override {
    Elementwise<T>(context, [](auto* dy, auto* y, int64_t size, auto* dx) { RectifiedGradient(dy, y, size, dx); });
  }
};

template <typename T>
struct Gelu : OpKernel {
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* context) override {
    Elementwise<T>(context, [](auto* x, auto*, int64_t size, auto* y) { Gaussian(x, size, y); });
  }
};

template <typename T>
struct GeluGrad : OpKernel {
  using OpKernel::OpKernel;
  void Compute(OpKernelContext* context) override {
    Elementwise<T>(context, [](auto* dy, auto* x, int64_t size, auto* dx) { GaussianGradient(dy, x, size, dx); });
  }
};

constexpr char kTypes[] = "T: {bfloat16, float}";

// Three outputs: one like the input `activation`, two like the vector behind it.
auto ShapesLike(int activation) {
  return [activation](tensorflow::shape_inference::InferenceContext* c) {
    c->set_output(0, c->input(activation));
    c->set_output(1, c->input(activation + 1));
    c->set_output(2, c->input(activation + 1));
    return absl::OkStatus();
  };
}

REGISTER_OP("HpcdlRelu").Input("x: T").Output("y: T").Attr(kTypes).SetShapeFn(
    tensorflow::shape_inference::UnchangedShape);
REGISTER_OP("HpcdlAddRelu").Input("x: T").Input("z: T").Output("y: T").Attr(kTypes).SetShapeFn(
    tensorflow::shape_inference::UnchangedShape);
REGISTER_OP("HpcdlReluGrad").Input("dy: T").Input("y: T").Output("dx: T").Attr(kTypes).SetShapeFn(
    tensorflow::shape_inference::UnchangedShape);
REGISTER_OP("HpcdlGelu").Input("x: T").Output("y: T").Attr(kTypes).SetShapeFn(
    tensorflow::shape_inference::UnchangedShape);
REGISTER_OP("HpcdlGeluGrad").Input("dy: T").Input("x: T").Output("dx: T").Attr(kTypes).SetShapeFn(
    tensorflow::shape_inference::UnchangedShape);
REGISTER_OP("HpcdlBatchNormalization")
    .Input("x: T")
    .Input("scale: float")
    .Input("offset: float")
    .Output("y: T")
    .Output("mean: float")
    .Output("variance: float")
    .Attr(kTypes)
    .Attr("epsilon: float")
    .Attr("activation: {'linear', 'relu', 'gelu'}")
    .SetShapeFn(ShapesLike(0));
REGISTER_OP("HpcdlBatchNormalizationGrad")
    .Input("dy: T")
    .Input("x: T")
    .Input("scale: float")
    .Input("offset: float")
    .Input("mean: float")
    .Input("variance: float")
    .Output("dx: T")
    .Output("dscale: float")
    .Output("doffset: float")
    .Attr(kTypes)
    .Attr("epsilon: float")
    .Attr("activation: {'linear', 'relu', 'gelu'}")
    .SetShapeFn(ShapesLike(1));

#define KERNEL(OP, T) \
  REGISTER_KERNEL_BUILDER(Name("Hpcdl" #OP).Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), OP<T>)
#define KERNELS(OP)               \
  KERNEL(OP, tensorflow::bfloat16); \
  KERNEL(OP, float)
KERNELS(Relu);
KERNELS(AddRelu);
KERNELS(ReluGrad);
KERNELS(Gelu);
KERNELS(GeluGrad);
KERNELS(BatchNormalization);
KERNELS(BatchNormalizationGrad);

}  // namespace hpcdl
