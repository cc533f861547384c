package org.fhirfacade.hapi;

import ca.uhn.fhir.jpa.model.entity.BaseResourceIndexedSearchParamQuantity;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.fhirfacade.hapi.IntervalEnds.End;
import org.hl7.fhir.r4.model.Quantity;

/**
 * The rows of a parameter of which a value is an interval.
 *
 * <p>Both ends are rows like those of numbers, so that {@code gt}, {@code lt} and an order find them. A row that is
 * nothing but an upper end has a second one under the parameter's name with {@link #UPPER}, and one that is nothing
 * but a lower end with {@link #LOWER}: by these {@link WholeQuantities} tells what starts after a number.
 */
final class EndRows {

  static final String LOWER = "$lower";
  static final String UPPER = "$upper";

  /** An end that is not within is moved by this part of the number: what conversion rounds away is far less. */
  private static final double STEP = 4e-12;

  private static final double LEAST = 1e-200;

  @FunctionalInterface
  interface Maker<R> {
    /** Null where there is no such row. */
    R row(String type, String name, Quantity value);
  }

  private EndRows() {}

  static <R extends BaseResourceIndexedSearchParamQuantity> Set<R> of(
      String type, String name, List<Quantity> values, Maker<R> maker) {
    Map<R, Quantity> rows = new HashMap<>();
    Set<R> notUpper = new HashSet<>();
    Set<R> notLower = new HashSet<>();
    for (Quantity value : values) {
      R row = maker.row(type, name, value);
      if (row != null) {
        rows.put(row, value);
        End end = IntervalEnds.endOf(value);
        if (end == null || end.isUpper()) {
          notLower.add(row);
        }
        if (end == null || !end.isUpper()) {
          notUpper.add(row);
        }
      }
    }
    Set<R> found = new HashSet<>(rows.keySet());
    rows.forEach(
        (row, value) -> {
          if (!notUpper.contains(row)) {
            found.add(marking(row, maker.row(type, name + UPPER, value)));
          }
          if (!notLower.contains(row)) {
            found.add(marking(row, maker.row(type, name + LOWER, value)));
          }
        });
    return found;
  }

  /** Under a name of its own, but with the unit as the row itself has it. */
  private static <R extends BaseResourceIndexedSearchParamQuantity> R marking(R row, R mark) {
    mark.setHashIdentityAndUnits(row.getHashIdentityAndUnits());
    mark.setHashIdentitySystemAndUnits(row.getHashIdentitySystemAndUnits());
    return mark;
  }

  static double moved(double number, End end) {
    if (end != End.ABOVE && end != End.BELOW) {
      return number;
    }
    double step = number == 0 ? LEAST : Math.abs(number) * STEP;
    return end == End.ABOVE ? number + step : number - step;
  }
}
