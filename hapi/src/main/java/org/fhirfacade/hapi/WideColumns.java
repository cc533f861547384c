package org.fhirfacade.hapi;

import java.util.Map;
import javax.sql.DataSource;
import org.hibernate.boot.Metadata;
import org.hibernate.boot.model.naming.Identifier;
import org.hibernate.boot.spi.BootstrapContext;
import org.hibernate.engine.spi.SessionFactoryImplementor;
import org.hibernate.integrator.spi.Integrator;
import org.hibernate.mapping.Table;
import org.hibernate.service.spi.SessionFactoryServiceRegistry;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.jdbc.core.JdbcTemplate;

/**
 * Room for what R4 allows, where HAPI has 30, 200 or 500 characters: tags, the units of quantities, addresses.
 *
 * <p>Hibernate makes new tables so, and widens at each start what an older release made; PostgreSQL only notes the new
 * length. What stands in an index has to fit into a page of PostgreSQL's, 2,704 bytes with all that stands beside it.
 */
class WideColumns implements Integrator {

  /** Bytes of an address; {@link ShortAddresses} cuts what is longer. */
  static final int ADDRESS = 2300;

  private static final Logger log = LoggerFactory.getLogger(WideColumns.class);

  /** As many characters as a string of R4 may have. */
  private static final int ANY = 1_048_576;

  /** The facade refuses what is longer: three of them stand in one index. */
  private static final int INDEXED = 768;

  private static final Map<String, Map<String, Integer>> LENGTHS =
      Map.of(
          "HFJ_TAG_DEF",
              Map.of("TAG_DISPLAY", ANY, "TAG_SYSTEM", INDEXED, "TAG_CODE", INDEXED, "TAG_VERSION", INDEXED),
          "HFJ_SPIDX_QUANTITY", Map.of("SP_SYSTEM", ANY, "SP_UNITS", ANY),
          "HFJ_SPIDX_QUANTITY_NRML", Map.of("SP_SYSTEM", ANY, "SP_UNITS", ANY),
          "HFJ_SPIDX_URI", Map.of("SP_URI", ADDRESS),
          "HFJ_RES_LINK", Map.of("TARGET_RESOURCE_URL", ADDRESS));

  private static final String NARROW =
      "SELECT count(*) FROM information_schema.columns WHERE table_schema = current_schema"
          + " AND lower(table_name) = 'hfj_tag_def' AND lower(column_name) = 'tag_display'"
          + " AND character_maximum_length < "
          + ANY;

  private static final String LOST =
      "DELETE FROM HFJ_RES_TAG WHERE NOT EXISTS"
          + " (SELECT 1 FROM HFJ_TAG_DEF WHERE HFJ_TAG_DEF.TAG_ID = HFJ_RES_TAG.TAG_ID)";

  /**
   * Before anything is widened: HAPI fails to write a resource again that has a tag whose definition it lost, as it did
   * while the column was narrow.
   */
  static void forgetLostTags(DataSource source) {
    JdbcTemplate database = new JdbcTemplate(source);
    Integer narrow = database.queryForObject(NARROW, Integer.class);
    if (narrow != null && narrow > 0) {
      log.info("tags may be as long as they are sent from now on; {} were lost before", database.update(LOST));
    }
  }

  @Override
  public void integrate(Metadata metadata, BootstrapContext context, SessionFactoryImplementor factory) {
    for (Table table : metadata.collectTableMappings()) {
      LENGTHS
          .getOrDefault(table.getName(), Map.of())
          .forEach((column, length) -> table.getColumn(Identifier.toIdentifier(column)).setLength(length));
    }
  }

  @Override
  public void disintegrate(SessionFactoryImplementor factory, SessionFactoryServiceRegistry services) {}
}
