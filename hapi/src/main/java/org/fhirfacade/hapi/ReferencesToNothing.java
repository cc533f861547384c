package org.fhirfacade.hapi;

import ca.uhn.fhir.interceptor.api.IInterceptorService;
import ca.uhn.fhir.jpa.api.svc.IIdHelperService;
import ca.uhn.fhir.jpa.dao.index.DaoResourceLinkResolver;
import ca.uhn.fhir.jpa.model.dao.JpaPid;
import ca.uhn.fhir.jpa.search.builder.QueryStack;
import ca.uhn.fhir.jpa.search.builder.sql.SearchQueryBuilder;
import ca.uhn.fhir.jpa.search.builder.sql.SqlObjectFactory;
import ca.uhn.fhir.jpa.searchparam.extractor.SearchParamExtractorService;
import jakarta.persistence.EntityManager;
import jakarta.persistence.EntityManagerFactory;
import org.springframework.beans.factory.ObjectProvider;
import org.springframework.beans.factory.config.BeanDefinition;
import org.springframework.beans.factory.config.BeanFactoryPostProcessor;
import org.springframework.context.annotation.Bean;
import org.springframework.context.annotation.Condition;
import org.springframework.context.annotation.ConditionContext;
import org.springframework.context.annotation.Conditional;
import org.springframework.context.annotation.Configuration;
import org.springframework.context.annotation.Primary;
import org.springframework.context.annotation.Scope;
import org.springframework.core.type.AnnotatedTypeMetadata;
import org.springframework.jdbc.core.JdbcTemplate;

/**
 * Where references are not checked, when they are written or when their targets are deleted, one to nothing is indexed
 * too, and found by what it says.
 *
 * <p>HAPI alone keeps no index of it: no search finds it, and {@code :missing} takes it for one that is not there. Of
 * the references to what is deleted it forgets one.
 */
@Configuration
@Conditional(ReferencesToNothing.MayBe.class)
public class ReferencesToNothing {

  static final String ON_WRITE = "enforce_referential_integrity_on_write";
  static final String ON_DELETE = "enforce_referential_integrity_on_delete";

  /** HAPI's own index of addresses begins with the path, which nobody knows when a target is created. */
  private static final String INDEX =
      "CREATE INDEX IF NOT EXISTS IDX_RL_TGTURL_ALONE ON HFJ_RES_LINK (TARGET_RESOURCE_URL)";

  /** {@code schema}: the tables are made or found with it. */
  public ReferencesToNothing(JdbcTemplate database, EntityManagerFactory schema) {
    database.execute(INDEX);
  }

  /** HAPI calls its own the primary one. */
  @Bean
  public static BeanFactoryPostProcessor noOtherTargets() {
    return beans -> beans.getBeanDefinition("daoResourceLinkResolver").setPrimary(false);
  }

  @Bean
  @Primary
  public DaoResourceLinkResolver<JpaPid> targets() {
    return new LinksByAddress.Targets();
  }

  @Bean
  @Primary
  public SearchParamExtractorService linksByAddress() {
    return new LinksByAddress();
  }

  @Bean
  @Scope(BeanDefinition.SCOPE_PROTOTYPE)
  public FoundByAddress foundByAddress(QueryStack stack, SearchQueryBuilder search) {
    return new FoundByAddress(stack, search);
  }

  /** HAPI asks for its own by a name that cannot be taken twice. */
  @Bean
  @Primary
  public SqlObjectFactory searchesByAddress(ObjectProvider<FoundByAddress> links) {
    return new SqlObjectFactory() {
      @Override
      public FoundByAddress resourceLinkIndexTable(QueryStack stack, SearchQueryBuilder search) {
        return links.getObject(stack, search);
      }
    };
  }

  @Bean
  public LinkedWhileThere linkedWhileThere(
      IInterceptorService interceptors, IIdHelperService<JpaPid> ids, EntityManager entities, Settings settings) {
    LinkedWhileThere linked = new LinkedWhileThere(ids, entities, settings.on(ON_DELETE, true));
    interceptors.registerInterceptor(linked);
    return linked;
  }

  static class MayBe implements Condition {
    @Override
    public boolean matches(ConditionContext context, AnnotatedTypeMetadata annotated) {
      Settings settings = new Settings(context.getEnvironment());
      return !settings.on(ON_WRITE, true) || !settings.on(ON_DELETE, true);
    }
  }
}
