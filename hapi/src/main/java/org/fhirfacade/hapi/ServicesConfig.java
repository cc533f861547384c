package org.fhirfacade.hapi;

import ca.uhn.fhir.batch2.api.IJobMaintenanceService;
import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.jpa.api.IDaoRegistry;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.dao.IFhirSystemDao;
import ca.uhn.fhir.jpa.binstore.DatabaseBinaryContentStorageSvcImpl;
import ca.uhn.fhir.jpa.config.util.ResourceCountCacheUtil;
import ca.uhn.fhir.jpa.dao.CacheTagDefinitionDao;
import ca.uhn.fhir.jpa.dao.FulltextSearchSvcImpl;
import ca.uhn.fhir.jpa.dao.IFulltextSearchSvc;
import ca.uhn.fhir.jpa.dao.data.ITagDefinitionDao;
import ca.uhn.fhir.jpa.dao.search.HSearchSortHelperImpl;
import ca.uhn.fhir.jpa.dao.search.IHSearchSortHelper;
import ca.uhn.fhir.jpa.dao.validation.SearchParameterDaoValidator;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.provider.DaoRegistryResourceSupportedSvc;
import ca.uhn.fhir.jpa.search.DatabaseBackedPagingProvider;
import ca.uhn.fhir.jpa.search.IStaleSearchDeletingSvc;
import ca.uhn.fhir.jpa.search.StaleSearchDeletingSvcImpl;
import ca.uhn.fhir.jpa.search.builder.predicate.DatePredicateBuilder;
import ca.uhn.fhir.jpa.search.builder.predicate.QuantityNormalizedPredicateBuilder;
import ca.uhn.fhir.jpa.search.builder.predicate.QuantityPredicateBuilder;
import ca.uhn.fhir.jpa.search.builder.predicate.TagPredicateBuilder;
import ca.uhn.fhir.jpa.search.builder.sql.SearchQueryBuilder;
import ca.uhn.fhir.jpa.searchparam.extractor.ISearchParamExtractor;
import ca.uhn.fhir.jpa.util.MemoryCacheService;
import ca.uhn.fhir.jpa.util.ResourceCountCache;
import ca.uhn.fhir.rest.api.IResourceSupportedSvc;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import org.hl7.fhir.r5.model.SearchParameter;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import org.springframework.beans.factory.config.BeanDefinition;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Lazy;
import org.springframework.context.annotation.Primary;
import org.springframework.context.annotation.Scope;

/** The small services that HAPI wants from its host. */
@Configuration
public class ServicesConfig {

  private static final Logger log = LoggerFactory.getLogger(ServicesConfig.class);
  private static final long FIRST_JOB_ROUND_MS = 30_000;

  private final Settings settings;

  public ServicesConfig(Settings settings) {
    this.settings = settings;
  }

  @Bean
  public DatabaseBackedPagingProvider databaseBackedPagingProvider() {
    DatabaseBackedPagingProvider paging = new DatabaseBackedPagingProvider();
    paging.setDefaultPageSize(settings.number("default_page_size", 20));
    paging.setMaximumPageSize(settings.number("max_page_size", Integer.MAX_VALUE));
    return paging;
  }

  @Bean
  public IFulltextSearchSvc fulltextSearchSvc() {
    return new FulltextSearchSvcImpl();
  }

  @Bean
  public IHSearchSortHelper searchSortHelper(ISearchParamRegistry registry) {
    return new HSearchSortHelperImpl(registry);
  }

  /** In the place of HAPI's own, one for each search. */
  @Bean
  @Primary
  @Scope(BeanDefinition.SCOPE_PROTOTYPE)
  public DatePredicateBuilder daysInUtc(SearchQueryBuilder search) {
    return new DaysInUtc(search);
  }

  /** In the place of HAPI's own, one for each search. */
  @Bean
  @Primary
  @Scope(BeanDefinition.SCOPE_PROTOTYPE)
  public TagPredicateBuilder profilesOfAnyVersion(SearchQueryBuilder search) {
    return new ProfilesOfAnyVersion(search);
  }

  /** In the place of HAPI's own. */
  @Bean
  @Primary
  public ISearchParamExtractor singleSpaces(PartitionSettings partitions) {
    return new SingleSpaces(partitions);
  }

  /** In the place of HAPI's own. */
  @Bean
  @Primary
  public CacheTagDefinitionDao tagsAsSent(ITagDefinitionDao known, MemoryCacheService cache) {
    return new TagsAsSent(known, cache);
  }

  /** In the place of HAPI's own, one for each search. */
  @Bean
  @Primary
  @Scope(BeanDefinition.SCOPE_PROTOTYPE)
  public QuantityPredicateBuilder wholeQuantities(SearchQueryBuilder search) {
    return new WholeQuantities.AsWritten(search);
  }

  /** In the place of HAPI's own, one for each search. */
  @Bean
  @Primary
  @Scope(BeanDefinition.SCOPE_PROTOTYPE)
  public QuantityNormalizedPredicateBuilder wholeConvertedQuantities(SearchQueryBuilder search) {
    return new WholeQuantities.Converted(search);
  }

  /** In the place of HAPI's own: a SearchParameter is a record that no search looks at, so whatever it says will do. */
  @Bean
  @Primary
  public SearchParameterDaoValidator anySearchParameter(
      FhirContext fhir, JpaStorageSettings storage, ISearchParamRegistry registry) {
    return new SearchParameterDaoValidator(fhir, storage, registry) {
      @Override
      public void validate(SearchParameter parameter) {}
    };
  }

  @Bean
  public IStaleSearchDeletingSvc staleSearchDeletingSvc() {
    return new StaleSearchDeletingSvcImpl();
  }

  @Bean
  public IResourceSupportedSvc resourceSupportedSvc(IDaoRegistry daos) {
    return new DaoRegistryResourceSupportedSvc(daos);
  }

  @Bean(name = "myResourceCountsCache")
  public ResourceCountCache resourceCountsCache(IFhirSystemDao<?, ?> system) {
    return ResourceCountCacheUtil.newResourceCountCache(system);
  }

  @Bean
  public DatabaseBinaryContentStorageSvcImpl binaryStorage() {
    return new DatabaseBinaryContentStorageSvcImpl();
  }

  /**
   * Moves batch jobs (bulk export, reindex) on. HAPI itself does so once a minute, which makes the smallest export
   * take 2 to 3 minutes. Key of this server, unknown to the official starter.
   */
  @Bean(destroyMethod = "shutdownNow")
  public ScheduledExecutorService jobRounds(@Lazy IJobMaintenanceService jobs) {
    ScheduledExecutorService rounds = Executors.newSingleThreadScheduledExecutor();
    long millis = settings.get("job_maintenance_interval_ms", Long.class, 0L);
    if (millis > 0) {
      rounds.scheduleWithFixedDelay(
          () -> maintain(jobs), FIRST_JOB_ROUND_MS, millis, TimeUnit.MILLISECONDS);
    }
    return rounds;
  }

  private static void maintain(IJobMaintenanceService jobs) {
    try {
      jobs.runMaintenancePass();
    } catch (RuntimeException e) {
      log.warn("batch job round failed", e);
    }
  }
}
