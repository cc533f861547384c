package org.fhirfacade.hapi;

import java.util.List;
import org.springframework.boot.context.properties.bind.Bindable;
import org.springframework.boot.context.properties.bind.Binder;
import org.springframework.core.env.Environment;
import org.springframework.stereotype.Component;

/** Reads the keys under {@code hapi.fhir}; the fallbacks are those of HAPI's official starter. */
@Component
public class Settings {

  static final String PREFIX = "hapi.fhir.";

  private final Environment env;

  public Settings(Environment env) {
    this.env = env;
  }

  /** The value of a key, converted; enum constants by name. */
  public <T> T get(String key, Class<T> type, T fallback) {
    return env.getProperty(PREFIX + key, type, fallback);
  }

  public boolean on(String key, boolean fallback) {
    return get(key, Boolean.class, fallback);
  }

  public String text(String key, String fallback) {
    return get(key, String.class, fallback);
  }

  public int number(String key, int fallback) {
    return get(key, Integer.class, fallback);
  }

  /** A YAML list, or one environment variable with commas. */
  public <T> List<T> list(String key, Class<T> type, List<T> fallback) {
    return Binder.get(env)
        .bind(PREFIX + key.replace('_', '-'), Bindable.listOf(type))
        .orElse(fallback);
  }
}
