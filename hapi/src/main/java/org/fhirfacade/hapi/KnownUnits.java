package org.fhirfacade.hapi;

import ca.uhn.fhir.jpa.model.util.UcumServiceUtil;
import ca.uhn.fhir.sl.cache.Cache;
import ca.uhn.fhir.sl.cache.CacheFactory;
import ca.uhn.fhir.util.ClasspathUtil;
import java.io.IOException;
import java.io.InputStream;
import java.lang.reflect.Field;
import org.fhir.ucum.Canonical;
import org.fhir.ucum.Converter;
import org.fhir.ucum.Decimal;
import org.fhir.ucum.ExpressionComposer;
import org.fhir.ucum.ExpressionParser;
import org.fhir.ucum.Pair;
import org.fhir.ucum.UcumEssenceService;
import org.fhir.ucum.UcumException;
import org.fhir.ucum.special.Registry;
import org.springframework.stereotype.Component;

/**
 * Remembers what a unit is in canonical ones, by which a value is multiplied.
 *
 * <p>HAPI alone works it out anew, digit by digit as text, for each value and each parameter that has one: half of the
 * time of an Observation with a long unit.
 */
class KnownUnits extends UcumEssenceService {

  /** Codes are as many as there are annotations, so not all are kept. */
  private static final int MOST = 1000;

  private final Cache<String, Unit> known = CacheFactory.buildEternal(MOST, MOST);

  private record Unit(Decimal factor, String code) {}

  KnownUnits(InputStream definitions) throws UcumException {
    super(definitions);
  }

  @Override
  public Pair getCanonicalForm(Pair quantity) throws UcumException {
    Unit unit = unit(quantity.getCode());
    Decimal value = quantity.getValue();
    if (value == null) {
      return new Pair(null, unit.code);
    }
    Decimal canonical = value.multiply(unit.factor);
    if (canonical != null && value.isWholeNumber()) {
      canonical.checkForCouldBeWholeNumber();
    }
    return new Pair(canonical, unit.code);
  }

  private Unit unit(String code) throws UcumException {
    Unit unit = known.getIfPresent(code);
    if (unit == null) {
      unit = workedOut(code);
      known.put(code, unit);
    }
    return unit;
  }

  private Unit workedOut(String code) throws UcumException {
    Canonical canonical =
        new Converter(getModel(), new Registry()).convert(new ExpressionParser(getModel()).parse(code));
    return new Unit(canonical.getValue(), new ExpressionComposer().compose(canonical, false));
  }

  /** HAPI keeps its own in a place that nothing else can be put into. */
  @Component
  static class InThePlaceOfHapis {

    InThePlaceOfHapis() throws ReflectiveOperationException, IOException, UcumException {
      try (InputStream definitions = ClasspathUtil.loadResourceAsStream("/ucum-essence.xml")) {
        Field place = UcumServiceUtil.class.getDeclaredField("myUcumEssenceService");
        place.setAccessible(true);
        place.set(null, new KnownUnits(definitions));
      }
    }
  }
}
