package org.fhirfacade.hapi;

import ca.uhn.fhir.jpa.model.dialect.HapiFhirH2Dialect;
import ca.uhn.fhir.jpa.model.dialect.HapiFhirPostgresDialect;
import jakarta.persistence.EntityManagerFactory;
import java.sql.Types;
import org.hibernate.dialect.Dialect;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.boot.autoconfigure.jdbc.DataSourceProperties;
import org.springframework.jdbc.core.JdbcTemplate;
import org.springframework.stereotype.Component;

/**
 * Keeps every digit of the numbers that are searched and sorted by: HAPI's own column rounds them to two decimals.
 *
 * <p>New tables have the wide column by their dialect, which also keeps Hibernate from making it narrow again at each
 * start. One that is there already is widened before the first request; PostgreSQL only notes the new type. What was
 * rounded stays so until it is indexed again.
 */
@Component
public class NumberIndex {

  private static final Logger log = LoggerFactory.getLogger(NumberIndex.class);
  private static final String ON_POSTGRES = "numeric";
  private static final String ON_H2 = "decfloat";
  private static final String ROUNDED =
      "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema"
          + " AND lower(table_name) = 'hfj_spidx_number' AND lower(column_name) = 'sp_value' AND numeric_scale > 0";
  private static final String WIDEN = "ALTER TABLE HFJ_SPIDX_NUMBER ALTER COLUMN SP_VALUE SET DATA TYPE ";

  /** {@code schema}: the tables are made or found with it. */
  public NumberIndex(DataSourceProperties source, JdbcTemplate database, EntityManagerFactory schema) {
    Integer rounded = database.queryForObject(ROUNDED, Integer.class);
    if (rounded != null && rounded > 0) {
      database.execute(WIDEN + (isPostgres(source.determineUrl()) ? ON_POSTGRES : ON_H2));
      log.info("numbers keep all their digits in the index from now on");
    }
  }

  static Class<? extends Dialect> dialect(String url) {
    return isPostgres(url) ? Postgres.class : H2.class;
  }

  private static boolean isPostgres(String url) {
    return url.startsWith("jdbc:postgresql:");
  }

  /** No other column of HAPI has this type. */
  public static class Postgres extends HapiFhirPostgresDialect {
    @Override
    protected String columnType(int code) {
      return code == Types.DECIMAL ? ON_POSTGRES : super.columnType(code);
    }
  }

  /** No other column of HAPI has this type. */
  public static class H2 extends HapiFhirH2Dialect {
    @Override
    protected String columnType(int code) {
      return code == Types.DECIMAL ? ON_H2 : super.columnType(code);
    }
  }
}
