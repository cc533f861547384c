package org.fhirfacade.hapi;

import java.math.BigDecimal;
import java.util.Arrays;
import java.util.Objects;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.apache.commons.lang3.StringUtils;
import org.hl7.fhir.instance.model.api.IBase;
import org.hl7.fhir.r4.model.Quantity;
import org.hl7.fhir.r4.model.Range;
import org.hl7.fhir.r4.model.SampledData;

/**
 * Both ends of a quantity that is an interval, as quantities that know which end they are: of one with a comparator,
 * of SampledData, of a Range. Where it has no end, it ends at a number beyond all others.
 */
final class IntervalEnds {

  static final BigDecimal BEYOND = BigDecimal.valueOf(1e200);

  private static final String KEY = IntervalEnds.class.getName();
  private static final Pattern NUMBER = Pattern.compile("[+-]?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]{1,3})?");

  /** {@code ABOVE} and {@code BELOW}: the number itself is not within. */
  enum End {
    FIRST,
    ABOVE,
    LAST,
    BELOW;

    boolean isUpper() {
      return this == LAST || this == BELOW;
    }
  }

  private IntervalEnds() {}

  /** Which end this is; null of a number. */
  static End endOf(Quantity quantity) {
    return (End) quantity.getUserData(KEY);
  }

  /** A quantity, as it is written, in its ends, or in nothing; any other value as it is. */
  static Stream<? extends IBase> of(IBase value) {
    if (value instanceof Quantity quantity) {
      return quantity.hasValue() && quantity.hasComparator() ? compared(quantity) : Stream.of(quantity);
    }
    if (value instanceof Range range) {
      return within(range);
    }
    return value instanceof SampledData data ? sampled(data) : Stream.of(value);
  }

  private static Stream<Quantity> compared(Quantity quantity) {
    BigDecimal value = quantity.getValue();
    return switch (quantity.getComparator()) {
      case LESS_THAN -> Stream.of(without(quantity, End.FIRST), end(value, quantity, End.BELOW));
      case LESS_OR_EQUAL -> Stream.of(without(quantity, End.FIRST), end(value, quantity, End.LAST));
      case GREATER_OR_EQUAL -> Stream.of(end(value, quantity, End.FIRST), without(quantity, End.LAST));
      case GREATER_THAN -> Stream.of(end(value, quantity, End.ABOVE), without(quantity, End.LAST));
      default -> Stream.of(quantity);
    };
  }

  private static Stream<Quantity> within(Range range) {
    Quantity low = range.getLow();
    Quantity high = range.getHigh();
    if (!low.hasValue() && !high.hasValue()) {
      return Stream.empty();
    }
    Quantity unit = low.hasValue() ? low : high;
    return between(
        low.hasValue() ? low.getValue() : BEYOND.negate(), high.hasValue() ? high.getValue() : BEYOND, unit);
  }

  /** {@code E} says nothing; {@code L} and {@code U} reach to the limits of detection. */
  private static Stream<Quantity> sampled(SampledData data) {
    if (!data.getOrigin().hasValue()) {
      return Stream.empty();
    }
    double origin = data.getOrigin().getValue().doubleValue();
    double factor = data.hasFactor() && data.getFactor().signum() != 0 ? data.getFactor().doubleValue() : 1;
    double[] samples =
        Arrays.stream(StringUtils.split(StringUtils.defaultString(data.getData())))
            .map(word -> number(word, data))
            .filter(Objects::nonNull)
            .mapToDouble(number -> origin + number.doubleValue() * factor)
            .sorted()
            .toArray();
    return samples.length == 0
        ? Stream.empty()
        : between(decimal(samples[0]), decimal(samples[samples.length - 1]), data.getOrigin());
  }

  private static BigDecimal number(String word, SampledData data) {
    return switch (word) {
      case "L" -> data.getLowerLimit();
      case "U" -> data.getUpperLimit();
      default -> NUMBER.matcher(word).matches() ? new BigDecimal(word) : null;
    };
  }

  private static BigDecimal decimal(double number) {
    double most = BEYOND.doubleValue();
    return BigDecimal.valueOf(Math.max(-most, Math.min(most, number)));
  }

  private static Stream<Quantity> between(BigDecimal low, BigDecimal high, Quantity unit) {
    return low.compareTo(high) == 0
        ? Stream.of(end(low, unit, null))
        : Stream.of(end(low, unit, End.FIRST), end(high, unit, End.LAST));
  }

  private static Quantity without(Quantity unit, End end) {
    return end(end.isUpper() ? BEYOND : BEYOND.negate(), unit, end);
  }

  private static Quantity end(BigDecimal value, Quantity unit, End which) {
    Quantity end = new Quantity();
    end.setValue(value.min(BEYOND).max(BEYOND.negate()));
    end.setSystem(unit.getSystem());
    end.setCode(unit.getCode());
    end.setUnit(unit.getUnit());
    return marked(end, which);
  }

  /** As it is coded, and as its unit is printed where that is another word. */
  static Stream<Quantity> inEachUnit(Quantity quantity) {
    if (!quantity.hasValue() || !quantity.hasUnit() || quantity.getUnit().equals(quantity.getCode())) {
      return Stream.of(quantity);
    }
    Quantity printed = new Quantity().setValue(quantity.getValue()).setCode(quantity.getUnit());
    marked(printed, endOf(quantity));
    return quantity.hasCode() ? Stream.of(quantity, printed) : Stream.of(printed);
  }

  private static Quantity marked(Quantity quantity, End which) {
    if (which != null) {
      quantity.setUserData(KEY, which);
    }
    return quantity;
  }
}
