package org.fhirfacade.hapi;

import ca.uhn.fhir.jpa.searchparam.extractor.SearchParamExtractorR4;
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
 * Indexes both ends of a quantity that is an interval: one with a comparator, SampledData, a Range. An end that is open
 * is a number beyond all others.
 *
 * <p>HAPI alone indexes the number that stands beside a comparator, nothing of SampledData, and codes only. Here a
 * printed unit that is no code is a code without a system too.
 */
class QuantityEnds extends SearchParamExtractorR4 {

  private static final double BEYOND = 1e200;
  private static final double LEAST = 1e-200;
  private static final Pattern NUMBER = Pattern.compile("[+-]?[0-9]+(\\.[0-9]+)?([eE][+-]?[0-9]{1,3})?");

  @Override
  public IValueExtractor getPathValueExtractor(IBase resource, String path) {
    IValueExtractor values = super.getPathValueExtractor(resource, path);
    return () -> values.get().stream().flatMap(QuantityEnds::indexed).toList();
  }

  private static Stream<? extends IBase> indexed(IBase value) {
    if (value instanceof Quantity quantity) {
      return (quantity.hasValue() ? compared(quantity) : Stream.of(quantity)).flatMap(QuantityEnds::inEachUnit);
    }
    if (value instanceof Range range) {
      return within(range).flatMap(QuantityEnds::inEachUnit);
    }
    return value instanceof SampledData data ? sampled(data).flatMap(QuantityEnds::inEachUnit) : Stream.of(value);
  }

  private static Stream<Quantity> compared(Quantity quantity) {
    if (!quantity.hasComparator()) {
      return Stream.of(quantity);
    }
    double value = quantity.getValue().doubleValue();
    return switch (quantity.getComparator()) {
      case LESS_THAN -> ends(-BEYOND, value == 0 ? -LEAST : value, quantity);
      case LESS_OR_EQUAL -> ends(-BEYOND, value, quantity);
      case GREATER_OR_EQUAL -> ends(value, BEYOND, quantity);
      case GREATER_THAN -> ends(value == 0 ? LEAST : value, BEYOND, quantity);
      default -> Stream.of(quantity);
    };
  }

  private static Stream<Quantity> within(Range range) {
    boolean hasLow = range.getLow().hasValue();
    boolean hasHigh = range.getHigh().hasValue();
    if (!hasLow && !hasHigh) {
      return Stream.empty();
    }
    return ends(
        hasLow ? range.getLow().getValue().doubleValue() : -BEYOND,
        hasHigh ? range.getHigh().getValue().doubleValue() : BEYOND,
        hasLow ? range.getLow() : range.getHigh());
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
    return samples.length == 0 ? Stream.empty() : ends(samples[0], samples[samples.length - 1], data.getOrigin());
  }

  private static BigDecimal number(String word, SampledData data) {
    return switch (word) {
      case "L" -> data.getLowerLimit();
      case "U" -> data.getUpperLimit();
      default -> NUMBER.matcher(word).matches() ? new BigDecimal(word) : null;
    };
  }

  private static Stream<Quantity> ends(double low, double high, Quantity unit) {
    return Stream.of(low, high)
        .map(end -> Math.max(-BEYOND, Math.min(BEYOND, end)))
        .distinct()
        .map(end -> of(BigDecimal.valueOf(end), unit));
  }

  private static Quantity of(BigDecimal value, Quantity unit) {
    Quantity end = new Quantity();
    end.setValue(value);
    end.setSystem(unit.getSystem());
    end.setCode(unit.getCode());
    end.setUnit(unit.getUnit());
    return end;
  }

  /** As it is coded, and as its unit is printed where that is another word. */
  private static Stream<Quantity> inEachUnit(Quantity quantity) {
    if (!quantity.hasValue() || !quantity.hasUnit() || quantity.getUnit().equals(quantity.getCode())) {
      return Stream.of(quantity);
    }
    Quantity printed = new Quantity().setValue(quantity.getValue()).setCode(quantity.getUnit());
    return quantity.hasCode() ? Stream.of(quantity, printed) : Stream.of(printed);
  }
}
